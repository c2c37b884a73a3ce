"""The fields in COCO's formats that must be there, and what each may be.

What else an annotation has is read in `coco_file.entry`.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from yolact_bench.errors import SpecError, brief

_Field = tuple[Callable[[Any], bool], str]  # whether a value can be used; what it must be

_EXACT = 2**53  # from here on not every whole number is a float
_DIGITS = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


def is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def whole_number(value: object) -> int | None:
    """Return the whole number that a value is or, as a text or a decimal, means; None if none."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if type(value) is str and _DIGITS.fullmatch(value):
        return int(value)
    return None


_WHOLE: _Field = (lambda value: type(value) is int, "a whole number")
_SIDE: _Field = (lambda value: type(value) is int and value > 0, "a whole number above 0, in px")
# Annotations whose geometry cannot be used are left out and listed, not refused.
_FIELDS: Mapping[str, _Field] = {
    "id": _WHOLE,
    "image_id": (_WHOLE[0], "the id of an image, a whole number"),
    "category_id": (_WHOLE[0], "the id of a category, a whole number"),
    "file_name": (lambda value: type(value) is str, "the name of a file in the image folder"),
    "height": _SIDE,
    "width": _SIDE,
    "name": (lambda value: type(value) in (str, int), "a text"),
    "bbox": (lambda value: True, "[x, y, width, height] in pixels"),
    "segmentation": (lambda value: True, "polygons [[x1, y1, x2, y2, x3, y3, …], …] or an RLE"),
    "score": (is_number, "a finite number"),
}


def with_keys(where: str, entry: object, keys: Sequence[str]) -> dict[str, Any]:
    """Return an entry that has all of `keys`, each with a value that can be used.

    Raises:
        SpecError: not an object, a key that is missing, or a value that cannot be used.
    """
    if not isinstance(entry, dict):
        raise SpecError(f"{where}: expected an object with {', '.join(keys)}, got {brief(entry)}")
    missing = [key for key in keys if key not in entry]
    if missing:
        forms = ", ".join(f"{key}: {_FIELDS[key][1]}" for key in missing)
        raise SpecError(f"{where}: missing {', '.join(missing)}; write {forms}")
    for key in keys:
        is_right, form = _FIELDS[key]
        if not is_right(entry[key]):
            raise SpecError(f"{where}: {key}: expected {form}, got {brief(entry[key])}")
    return entry
