"""A COCO annotation file, checked and packed into flat arrays.

One file: what is checked of an entry and what is kept of it must agree.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolact_bench.data.objects import Objects, Segment, from_run_lengths
from yolact_bench.data.protocol import Degenerate
from yolact_bench.data.segmentation import Outlines, UnusableError, packed_segmentation, usable_box
from yolact_bench.errors import SpecError, hint, word_list

_ANNOTATION_KEYS = ("id", "image_id", "category_id", "bbox", "segmentation")


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image as its annotation file describes it."""

    id: int
    file_name: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class _Object:
    label: int
    is_crowd: bool
    box: tuple[float, float, float, float]  # corners, px
    outlines: Outlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """The usable content of an annotation file."""

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[ImageEntry, ...]
    degenerate: tuple[Degenerate, ...]
    areas: Mapping[int, float]  # by annotation id, of those that state none
    _objects: tuple[tuple[_Object, ...], ...]  # per image, crowds last

    def objects(self, index: int) -> Objects:
        """Return the objects of an image."""
        entry, objects = self.images[index], self._objects[index]
        return Objects(
            boxes_px=np.array([one.box for one in objects], dtype=np.float64).reshape(-1, 4),
            labels=np.array([one.label for one in objects], dtype=np.int64),
            segments=tuple(_segment(one.outlines, entry) for one in objects),
            is_crowd=np.array([one.is_crowd for one in objects], dtype=bool),
            height=entry.height,
            width=entry.width,
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        SpecError: unreadable, not JSON (with line and column), or not an object.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not JSON: not a text file in UTF-8") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path}: expected an object with images, annotations and categories")
    return content


def read_annotations(
    path: Path, classes: Sequence[str], *, subset: bool, annotated: bool
) -> Annotations:
    """Return the annotations of `classes` in a COCO-format file; label i is the i-th class.

    With `subset` other categories are left out, otherwise the file may have no others. Without
    `annotated` (test images) the file need not annotate anything.

    Raises:
        SpecError: malformed JSON, missing keys, repeated or unknown ids, a class that the file
            does not have, or no usable annotation.
    """
    content = read_json(path)
    images = _images(path, _entries(path, content, "images"))
    category_ids, others = _categories(path, content, classes, subset=subset)
    optional = not annotated and "annotations" not in content
    entries = [] if optional else _entries(path, content, "annotations")
    packer = _Packer(path, images, category_ids, others)
    for number, entry in enumerate(entries):
        packer.add(number, entry)
    if annotated and not packer.usable:
        reasons = f"; all {len(packer.degenerate)} are degenerate" if packer.degenerate else ""
        raise SpecError(
            f"{path}: no usable annotation of the classes {word_list(classes)}{reasons}"
        )
    return Annotations(
        classes=tuple(classes),
        category_ids=category_ids,
        images=images,
        degenerate=tuple(packer.degenerate),
        areas=packer.areas,
        _objects=tuple(tuple(sorted(of, key=lambda one: one.is_crowd)) for of in packer.objects),
    )


class _Packer:
    """Collects the usable annotations image by image, and the reasons of the others."""

    def __init__(
        self,
        path: Path,
        images: tuple[ImageEntry, ...],
        category_ids: tuple[int, ...],
        others: frozenset[int],
    ) -> None:
        self.objects: list[list[_Object]] = [[] for _ in images]
        self.degenerate: list[Degenerate] = []
        self.areas: dict[int, float] = {}
        self.usable = 0
        self._path = path
        self._images = images
        self._rows = {entry.id: row for row, entry in enumerate(images)}
        self._labels = {number: label for label, number in enumerate(category_ids)}
        self._others = others
        self._seen: set[int] = set()

    def add(self, number: int, entry: object) -> None:
        """Add the annotation at place `number` of the file."""
        where = f"{self._path}: annotations[{number}]"
        one = _with_keys(where, entry, _ANNOTATION_KEYS)
        annotation_id, image_id, category = one["id"], one["image_id"], one["category_id"]
        if annotation_id in self._seen:
            raise SpecError(f"{where}: the id {annotation_id} is used twice")
        self._seen.add(annotation_id)
        if image_id not in self._rows:
            raise SpecError(
                f"{where}: annotation {annotation_id}: no image has the id {image_id!r}; add the "
                "image, or remove the annotation"
            )
        if category in self._others:
            return
        if category not in self._labels:
            raise SpecError(
                f"{where}: annotation {annotation_id}: no category has the id {category!r}; add "
                "it to the file's categories, or remove the annotation"
            )
        row = self._rows[image_id]
        image = self._images[row]
        try:
            box = usable_box(one["bbox"], image.height, image.width)
            outlines, area = packed_segmentation(one["segmentation"], image.height, image.width)
        except UnusableError as error:
            reason = str(error)
            self.degenerate.append(
                Degenerate(annotation_id=annotation_id, image_id=image_id, reason=reason)
            )
            return
        if "area" not in one:
            self.areas[annotation_id] = area
        crowd = bool(one.get("iscrowd", 0))
        self.objects[row].append(_Object(self._labels[category], crowd, box, outlines))
        self.usable += 1


def _images(path: Path, entries: list[Any]) -> tuple[ImageEntry, ...]:
    images: list[ImageEntry] = []
    seen: set[int] = set()
    for number, entry in enumerate(entries):
        where = f"{path}: images[{number}]"
        one = _with_keys(where, entry, ("id", "file_name", "height", "width"))
        height, width = one["height"], one["width"]
        if not (isinstance(height, int) and isinstance(width, int) and min(height, width) > 0):
            raise SpecError(f"{where}: height and width must be whole numbers of pixels")
        if one["id"] in seen:
            raise SpecError(f"{where}: the id {one['id']!r} is used twice")
        seen.add(one["id"])
        images.append(ImageEntry(one["id"], str(one["file_name"]), height, width))
    if not images:
        raise SpecError(f"{path}: 'images' is empty")
    return tuple(images)


def _categories(
    path: Path, content: Mapping[str, Any], classes: Sequence[str], *, subset: bool
) -> tuple[tuple[int, ...], frozenset[int]]:
    """Return the category id of each class, and the ids that are to be left out."""
    ids: dict[str, int] = {}
    for number, entry in enumerate(_entries(path, content, "categories")):
        where = f"{path}: categories[{number}]"
        one = _with_keys(where, entry, ("id", "name"))
        if one["name"] in ids or one["id"] in ids.values():
            raise SpecError(f"{where}: the name {one['name']!r} or its id is used twice")
        ids[str(one["name"])] = one["id"]
    for name in classes:
        if name not in ids:
            raise SpecError(f"{path}: no category is named {name!r}{hint(name, ids)}")
    others = [name for name in ids if name not in classes]
    if others and not subset:
        raise SpecError(
            f"{path}: categories beside those of the data set: {', '.join(others)}; "
            "name the wanted ones under 'classes' in dataset.yaml"
        )
    return tuple(ids[name] for name in classes), frozenset(ids[name] for name in others)


def _entries(path: Path, content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise SpecError(f"{path}: the list '{key}' is missing; is this a COCO-format file?")
    return value


def _with_keys(where: str, entry: object, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise SpecError(f"{where}: expected an object, got {entry!r}")
    missing = [key for key in keys if key not in entry]
    if missing:
        raise SpecError(f"{where}: missing {', '.join(missing)}")
    for key in keys:
        if key.endswith("id") and (not isinstance(entry[key], int) or isinstance(entry[key], bool)):
            raise SpecError(f"{where}: {key} must be a whole number, got {entry[key]!r}")
    return entry


def _segment(outlines: Outlines, entry: ImageEntry) -> Segment:
    if isinstance(outlines, tuple):
        return tuple(outline.astype(np.float64).reshape(-1, 2) for outline in outlines)
    return from_run_lengths(outlines, entry.height, entry.width)
