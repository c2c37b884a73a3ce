"""A folder of labelme: one JSON file beside each image, shapes by corner points."""

import base64
import binascii
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolact_bench.conversion.index_image import decode_index
from yolact_bench.conversion.pictures import (
    Conversion,
    Picture,
    Settings,
    Shape,
    bitmap_shape,
    polygon_shape,
    size_of,
    sorted_classes,
    splits_of,
)
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.json_file import read_json

_CIRCLE_POINTS = 64
_FAR = 1e6  # px, beyond every image
_NO_AREA = ("point", "points", "line", "linestrip")


def read_labelme(source: Path, settings: Settings, mistakes: Mistakes) -> Conversion:
    """Return what the JSON files of a folder, or of its folders train, val and test, describe.

    Polygons of one label and one `group_id` are parts of one object. Points and lines have no
    area: they are left out and counted.

    Source: labelme 5, `labelme/_label_file.py`.
    """
    left_out = Counter[str]()
    splits: dict[str, list[Picture]] = {}
    for split, folder in splits_of(source).items():
        files = sorted(folder.rglob("*.json"))
        if not files:
            mistakes.add(f"{folder}: no JSON file of labelme; name the folder that has them")
        splits[split] = [
            picture for file in files if (picture := _picture(file, left_out, mistakes))
        ]
    classes = sorted_classes(settings, splits, mistakes)
    return Conversion(splits=splits, classes=classes, left_out=left_out)


def _picture(file: Path, left_out: Counter[str], mistakes: Mistakes) -> Picture | None:
    try:
        content = read_json(file)
        if not isinstance(content, Mapping) or not isinstance(content.get("shapes"), list):
            raise SpecError(f"{file}: no 'shapes', so not of labelme; remove it")
        name = str(content.get("imagePath") or "").replace("\\", "/")
        path = next(one for one in (file.parent / name, _beside(file, name)) if one.is_file())
        height, width = size_of(path)
    except StopIteration:
        mistakes.add(f"{file}: its image {name!r} is not there; put it beside the file")
        return None
    except SpecError as error:
        mistakes.add(str(error))
        return None
    shapes: list[Shape] = []
    groups: dict[tuple[str, object], list[list[float]]] = defaultdict(list)
    for number, shape in enumerate(content["shapes"]):
        try:
            kind = _kind(shape)
            if kind in _NO_AREA:
                left_out[f"{kind}: it has no area"] += 1
            elif kind == "mask":
                shapes.append(_mask(shape, height, width))
            else:
                group = shape.get("group_id")
                key = (str(shape["label"]), number if group is None else f"group {group}")
                outline = _outline(shape, kind)  # before a group begins that may stay empty
                groups[key].append(outline)
        except SpecError as error:
            mistakes.add(f"{file}: shapes[{number}]: {error}")
    shapes += [polygon_shape(label, parts) for (label, _), parts in groups.items()]
    return Picture(path=path, height=height, width=width, shapes=tuple(shapes))


def _beside(file: Path, name: str) -> Path:
    return file.parent / Path(name).name


def _kind(shape: Any) -> str:  # noqa: ANN401 - of a file of others
    if not isinstance(shape, Mapping) or not isinstance(shape.get("label"), str):
        raise SpecError("no label; write label: a class name")
    return str(shape.get("shape_type") or "polygon")


def _points(shape: Mapping[str, Any], fewest: int) -> list[tuple[float, float]]:
    try:
        points = [(float(x), float(y)) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SpecError("points: expected [[x, y], …]; correct them") from error
    if len(points) < fewest or not all(abs(value) < _FAR for point in points for value in point):
        raise SpecError(f"points: expected {fewest} or more in the image; draw the shape again")
    return points


def _outline(shape: Mapping[str, Any], kind: str) -> list[float]:
    """Return the outline of a polygon, a rectangle (two corners) or a circle (centre, edge)."""
    if kind == "polygon":
        points = _points(shape, 3)
    elif kind == "rectangle":
        corners = _points(shape, 2)
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
        points = [(left, top), (right, top), (right, bottom), (left, bottom)]
    elif kind == "circle":
        (x, y), edge = _points(shape, 2)[:2]
        radius = math.dist((x, y), edge)
        angles = np.arange(_CIRCLE_POINTS) * (2 * np.pi / _CIRCLE_POINTS)
        points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles.tolist()]
    else:
        raise SpecError(f"a {kind!r} has no known outline; draw a polygon")
    return [value for point in points for value in point]


def _mask(shape: Mapping[str, Any], height: int, width: int) -> Shape:
    """Return a shape whose pixels are an image of their own, at the first of its points."""
    left, top = (round(value) for value in _points(shape, 2)[0])
    try:
        part = decode_index(base64.b64decode(str(shape.get("mask")), validate=True)) != 0
    except (binascii.Error, SpecError) as error:
        raise SpecError("mask: no PNG of the object's pixels; draw the shape again") from error
    bitmap = np.zeros((height, width), bool)
    fits = 0 <= top <= height - part.shape[0] and 0 <= left <= width - part.shape[1]
    if not fits or not part.any():
        raise SpecError("mask: empty, or beyond the image; draw the shape again")
    bitmap[top : top + part.shape[0], left : left + part.shape[1]] = part
    return bitmap_shape(str(shape["label"]), bitmap)
