"""Detections in COCO's result format, checked before C code sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from runners.evaluation.coco.masks import areas as areas_of
from runners.evaluation.coco.segmentations import BadMaskError, run_lengths_of
from yolact_bench.coco_fields import is_number, with_keys
from yolact_bench.errors import SpecError, brief, word_list

ShapeKind = Literal["bbox", "segm"]
Entry = Mapping[str, object]  # one detection, as COCO's result format has it
_SHAPES: Mapping[ShapeKind, str] = {"bbox": "bbox", "segm": "segmentation"}
_FARTHEST_PX = 2.0**31  # of a number of a box: its area and its overlaps are finite


class Subjects:
    """The images and categories that detections may name."""

    def __init__(self, ground_truth: Mapping[str, Any]) -> None:
        images, categories = ground_truth["images"], ground_truth["categories"]
        self.sizes = {one["id"]: (int(one["height"]), int(one["width"])) for one in images}
        self.categories = frozenset(one["id"] for one in categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Entries that can be used, N of them, in their order."""

    entries: Sequence[Entry]
    shapes: Sequence[object]  # [N] boxes as they are, or masks as compressed run lengths
    areas: Sequence[float]  # [N] square pixels


def read_detections(
    entries: object,
    known: Subjects,
    kind: ShapeKind,
    *,
    where: str,
    remedy: str = "",
    own_masks: bool = False,
) -> Detections:
    """Return the detections that a list of entries holds.

    `own_masks`: the masks are as this program wrote them, so they are not looked at one by one.

    Raises:
        SpecError: no list, or an entry that is malformed or names an image or a category that
            there is not: the first, by its number from 1 on. `where` begins the message and
            `remedy` ends it.
    """
    try:
        return _read(entries, known, kind, where, own_masks=own_masks)
    except SpecError as error:
        raise SpecError(f"{error}; {remedy}" if remedy else str(error)) from error


def _read(
    entries: object, known: Subjects, kind: ShapeKind, where: str, *, own_masks: bool
) -> Detections:
    shape = _SHAPES[kind]
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise SpecError(
            f"{where}: expected a list of detections, COCO's result format, got "
            f"{type(entries).__name__}; write [{{image_id, category_id, score, {shape}}}, …]"
        )
    keys = ("image_id", "category_id", "score", shape)
    try:
        image_ids, category_ids, scores, shapes = (
            list(map(itemgetter(key), entries)) for key in keys
        )
        areas = _box_areas(shapes) if kind == "bbox" else []
        is_right = (
            {*map(type, image_ids), *map(type, category_ids)} <= {int}
            and {*image_ids} <= known.sizes.keys()
            and {*category_ids} <= known.categories
            and all(map(is_number, scores))
        )
    except (KeyError, TypeError, ValueError, ArithmeticError):
        is_right = False
    if not is_right:
        raise _first_fault(entries, keys, known, where)
    if own_masks:
        areas = areas_of(shapes)
    elif kind == "segm":
        try:
            shapes, areas = run_lengths_of(shapes, [known.sizes[number] for number in image_ids])
        except BadMaskError as error:
            height, width = known.sizes[image_ids[error.number]]
            raise SpecError(
                f"{where}: entry {error.number + 1}: segmentation: {error}; write polygons [[x1, "
                f'y1, x2, y2, x3, y3, …], …], or {{"size": [{height}, {width}], "counts": …}}'
            ) from error
    return Detections(entries=entries, shapes=shapes, areas=areas)


def _box_areas(boxes: Sequence[Any]) -> list[float]:
    """Return the areas of boxes; raise a ValueError, or what numpy raises, if one is no box."""
    is_list = {*map(type, boxes)} <= {list} and {*map(len, boxes)} <= {4}
    if not is_list or not {*map(type, chain.from_iterable(boxes))} <= {int, float}:
        raise ValueError
    sides = np.array(boxes, np.float64).reshape(-1, 4)
    # Not-a-number is within no bounds, either.
    if not ((np.abs(sides) <= _FARTHEST_PX).all() and (sides[:, 2:] >= 0).all()):
        raise ValueError
    areas: list[float] = (sides[:, 2] * sides[:, 3]).tolist()
    return areas


def _first_fault(
    entries: Sequence[object], keys: Sequence[str], known: Subjects, where: str
) -> SpecError:
    """Return, or raise, what is wrong with the first entry that is."""
    for number, entry in enumerate(entries, start=1):
        place = f"{where}: entry {number}"
        one = with_keys(place, entry, keys)
        for key, numbers in (("image_id", known.sizes), ("category_id", known.categories)):
            if type(one[key]) is not int or one[key] not in numbers:
                return SpecError(
                    f"{place}: {key} {brief(one[key])} is not in the evaluation data, which has "
                    f"{word_list([*map(str, sorted(numbers))], most=8)}; give predictions that "
                    "were made on these data"
                )
        if "bbox" in keys:
            try:
                _box_areas([one["bbox"]])
            except (TypeError, ValueError, ArithmeticError):
                got = brief(one["bbox"])
                return SpecError(
                    f"{place}: bbox: expected [x, y, width, height] in pixels, got {got}"
                )
    raise AssertionError(where)
