"""One annotation of a COCO file: what of it can be used, and what had to be mended.

The meaning of every field is decided here, one entry at a time. A faster reader of many entries
may take those that are plainly clean, and must leave all others to `read_entry`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from yolact_bench.coco_fields import is_number
from yolact_bench.coco_file.segmentation import (
    NO_MASK,
    Corners,
    Outlines,
    Repair,
    UnusableError,
    usable_box,
    usable_mask,
)
from yolact_bench.findings import AREA, BOX, CROWD, NO_AREA

_FLAGS = {"0": False, "1": True, "false": False, "true": True, "": False}


class Entry(NamedTuple):
    """The plain values of an annotation that can be used; lengths are in px, areas in px²."""

    box: Corners  # x, y, width and height, exactly as the file has them
    raw_box: Corners | None  # four numbers that the file has there, whatever they mean
    outlines: Outlines
    extent: Corners  # corners around the mask
    area: float  # as the file has it, or of the mask
    mask_area: float
    is_crowd: bool
    is_ignored: bool  # the key `ignore`, which only scoring may look at
    repairs: tuple[Repair, ...]


class WrongValueError(ValueError):
    """A value whose meaning is unknown, so that the file must be corrected."""


def read_entry(entry: Mapping[str, Any], height: int, width: int) -> Entry:
    """Return what can be used of an annotation on an image of this size.

    Raises:
        UnusableError: it must be left out; nothing else of it is looked at.
        WrongValueError: the file must be corrected.
    """
    mask = usable_mask(entry.get("segmentation"), height, width)
    box, raw_box, box_repairs = _box(entry, mask.extent, height, width)
    is_crowd, crowd_repairs = _crowd(entry)
    area, area_repairs = _area(entry, mask.area)
    return Entry(
        box,
        raw_box,
        mask.outlines,
        mask.extent,
        area,
        mask.area,
        is_crowd,
        bool(entry.get("ignore")),
        (*mask.repairs, *box_repairs, *crowd_repairs, *area_repairs),
    )


def lacks_mask(error: UnusableError) -> bool:
    """Return whether an annotation is left out because it states no mask at all."""
    return str(error) == NO_MASK


def box_around(extent: Corners) -> Corners:
    """Return x, y, width and height of the box with these corners."""
    left, top, right, bottom = extent
    return left, top, right - left, bottom - top


def _box(
    entry: Mapping[str, Any], extent: Corners, height: int, width: int
) -> tuple[Corners, Corners | None, tuple[Repair, ...]]:
    value = entry.get("bbox")
    try:
        box = usable_box(value, height, width)
    except UnusableError as error:
        around = usable_box(list(box_around(extent)), height, width)
        numbers = isinstance(value, list) and len(value) == 4 and all(map(is_number, value))
        raw_box = tuple(map(float, value)) if numbers else None  # type: ignore[arg-type]
        reason = "no bbox" if value is None or value == [] else f"bbox {value!r:.60}: {error}"
        return around, raw_box, ((BOX, reason),)  # type: ignore[return-value]
    return box, box, ()


def _crowd(entry: Mapping[str, Any]) -> tuple[bool, tuple[Repair, ...]]:
    value = entry.get("iscrowd", 0)
    if type(value) in (int, float) and value in (0, 1):
        return bool(value), ()
    if value is None or isinstance(value, bool):
        return bool(value), ((CROWD, f"iscrowd {_json(value)}"),)
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if flag is None:
        raise WrongValueError(
            f"iscrowd: expected 0 or 1 (leave the key out for 0), got {value!r:.60}"
        )
    return flag, ((CROWD, f"iscrowd {_json(value)}"),)


def _area(entry: Mapping[str, Any], of_mask: float) -> tuple[float, tuple[Repair, ...]]:
    value = entry.get("area")
    if is_number(value) and value > 0:  # type: ignore[operator]
        return float(value), ()  # type: ignore[arg-type]
    return of_mask, ((AREA, f"area {_json(value)}" if "area" in entry else NO_AREA),)


def _json(value: object) -> str:
    """Return a value as the file writes it, its beginning if it is long."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f'"{value[:60]}"' if isinstance(value, str) else f"{value!r:.60}"
