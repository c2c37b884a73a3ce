"""One COCO segmentation: checked, and packed as outlines or run lengths.

Unusable annotations get a reason; nothing here trusts the content of a file.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# The outlines of an object, flat [x, y, x, y, …] each; or its run lengths.
Outlines = tuple[NDArray[np.float32], ...] | NDArray[np.int32]

ZERO_AREA = "zero area"
TOO_FEW_POINTS = "fewer than three points"
OUTSIDE = "outside the image"
UNREADABLE_BOX = "unreadable box"
UNREADABLE_POLYGON = "unreadable polygon"
UNREADABLE_RLE = "unreadable RLE"
FEWEST_NUMBERS = 6  # of a polygon: three points
_LARGEST = 2.0**31  # of a coordinate or run length; also keeps integers convertible

_FARTHEST_PX = 1e5  # farther points, far beyond any image, would overflow when drawn


class UnusableError(ValueError):
    """An annotation that must be left out; its text is one of the reasons above."""


def usable_box(box: object, height: int, width: int) -> tuple[float, float, float, float]:
    """Return the corners, in pixels, of a COCO box [x, y, w, h].

    Raises:
        UnusableError: not four finite numbers, no area, or nothing of it in the image.
    """
    if not isinstance(box, list) or len(box) != 4:
        raise UnusableError(UNREADABLE_BOX)
    x, y, w, h = _numbers(box, UNREADABLE_BOX)
    if w <= 0 or h <= 0:
        raise UnusableError(ZERO_AREA)
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UnusableError(OUTSIDE)
    return x, y, x + w, y + h


def packed_segmentation(segmentation: object, height: int, width: int) -> tuple[Outlines, float]:
    """Return a segmentation, packed, and its area in pixels.

    Polygons with fewer than three points are left out as long as another remains.

    Raises:
        UnusableError: neither polygons nor RLE can be made of it, or it has no area in the image.
    """
    if isinstance(segmentation, dict):
        counts = _run_lengths(segmentation, height, width)
        area = float(counts[1::2].sum())
        if not area:
            raise UnusableError(ZERO_AREA)
        return counts, area
    if not isinstance(segmentation, list):
        raise UnusableError(UNREADABLE_POLYGON)
    return _polygons(segmentation, height, width)


def _polygons(parts: list[object], height: int, width: int) -> tuple[Outlines, float]:
    kept: list[NDArray[np.float32]] = []
    for part in parts:
        if not isinstance(part, list) or len(part) % 2:
            raise UnusableError(UNREADABLE_POLYGON)
        if len(part) >= FEWEST_NUMBERS:
            kept.append(_coordinates(part))
    if not kept:
        raise UnusableError(TOO_FEW_POINTS)
    area = sum(_outline_area(part) for part in kept)
    if area <= 0:
        raise UnusableError(ZERO_AREA)
    points = np.concatenate(kept).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise UnusableError(OUTSIDE)
    return tuple(kept), area


def _coordinates(part: list[object]) -> NDArray[np.float32]:
    try:
        array = np.array(part)
    except ValueError as error:  # nested lists of different lengths
        raise UnusableError(UNREADABLE_POLYGON) from error
    if array.dtype.kind not in "iuf" or array.ndim != 1:
        raise UnusableError(UNREADABLE_POLYGON)
    if not (np.abs(array) <= _FARTHEST_PX).all():  # not-a-number is not, either
        raise UnusableError(UNREADABLE_POLYGON)
    return array.astype(np.float32)


def _outline_area(flat: NDArray[np.float32]) -> float:
    # Relative to the first point: far from the origin the products would lose digits.
    x = flat[0::2].astype(np.float64) - flat[0]
    y = flat[1::2].astype(np.float64) - flat[1]
    return polygon_area(x, y)


def polygon_area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the area of the polygon whose corners have these coordinates, in order."""
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _run_lengths(rle: dict[str, object], height: int, width: int) -> NDArray[np.int32]:
    """Return the run lengths of an uncompressed or compressed RLE, checked against the image.

    The check must come before any decoding: run lengths beyond the image would be written
    beyond the mask.
    """
    counts = rle.get("counts")
    if rle.get("size") != [height, width]:
        raise UnusableError(UNREADABLE_RLE)
    if isinstance(counts, str):
        lengths = [float(length) for length in _decompress(counts)]
    elif isinstance(counts, list):
        lengths = _numbers(counts, UNREADABLE_RLE)
    else:
        raise UnusableError(UNREADABLE_RLE)
    if any(length < 0 or length != int(length) for length in lengths):
        raise UnusableError(UNREADABLE_RLE)
    if sum(lengths) != height * width:
        raise UnusableError(UNREADABLE_RLE)
    return np.array(lengths, dtype=np.int32)


def _decompress(text: str) -> list[int]:
    """Return the run lengths in COCO's text form.

    Each number is a series of characters from code 48 on: five bits, low ones first, and a
    sixth that says whether more follow; the last one's top bit is the sign. From the fourth
    number on, the difference to the number two before is stored.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 30:
            raise UnusableError(UNREADABLE_RLE)
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise UnusableError(UNREADABLE_RLE)
    return lengths


def _numbers(values: Sequence[object], reason: str) -> list[float]:
    numbers = [
        float(value)
        for value in values
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= _LARGEST  # false for not-a-number, too
    ]
    if len(numbers) != len(values):
        raise UnusableError(reason)
    return numbers
