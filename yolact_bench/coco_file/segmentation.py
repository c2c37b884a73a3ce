"""One COCO segmentation: checked, and packed as outlines or run lengths.

One file: every form that a segmentation has in practice ends in one of the two.

Unusable ones get a reason; nothing here trusts the content of a file.
"""

import ast
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolact_bench.findings import PART, POLYGON

# The outlines of an object, flat [x, y, x, y, …] each; or its run lengths.
Outlines = tuple[NDArray[np.float64], ...] | NDArray[np.int32]
Corners = tuple[float, float, float, float]  # px
Repair = tuple[str, str]  # a kind of finding, and its text

NO_MASK = "no segmentation"
ZERO_AREA = "zero area"
TOO_FEW_POINTS = "fewer than three points"
OUTSIDE = "outside the image"
UNREADABLE_BOX = "unreadable box"
UNREADABLE_POLYGON = "unreadable polygon"
UNREADABLE_RLE = "unreadable RLE"
SIZE_OF_RLE = "RLE whose size is not [height, width] of the image"
FEWEST_NUMBERS = 6  # of a polygon: three points
LARGEST = 2.0**31  # of a coordinate or run length; also keeps integers convertible

FARTHEST_PX = 1e5  # farther points, far beyond any image, would overflow when drawn
# A box of less is none: the logarithm of its side, which boxes are learnt by, would rule the loss.
SMALLEST_SIDE_PX = 0.01


class UnusableError(ValueError):
    """An annotation that must be left out; its text is one of the reasons above."""


class Mask(NamedTuple):
    """A segmentation that can be used."""

    outlines: Outlines
    area: float  # px²
    extent: Corners  # of what is in the image
    repairs: tuple[Repair, ...]


def usable_box(box: object, height: int, width: int) -> Corners:
    """Return x, y, width and height, in pixels, of a COCO box.

    Raises:
        UnusableError: not four finite numbers, no area, or nothing of it in the image.
    """
    if not isinstance(box, list) or len(box) != 4:
        raise UnusableError(UNREADABLE_BOX)
    x, y, w, h = _numbers(box, UNREADABLE_BOX)
    if w < SMALLEST_SIDE_PX or h < SMALLEST_SIDE_PX:
        raise UnusableError(ZERO_AREA)
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UnusableError(OUTSIDE)
    return x, y, w, h


def usable_mask(segmentation: object, height: int, width: int) -> Mask:
    """Return a segmentation, packed.

    Parts that cannot be used are left out as long as another remains.

    Raises:
        UnusableError: neither polygons nor RLE can be made of it, or it has no area in the image.
    """
    if not segmentation:
        raise UnusableError(NO_MASK)
    repairs: tuple[Repair, ...] = ()
    if isinstance(segmentation, list):
        segmentation, repairs = _flatten(segmentation)
    if isinstance(segmentation, dict):
        segmentation, more = _as_text(segmentation)
        repairs += more
        counts = _run_lengths(segmentation, height, width)
        area = float(counts[1::2].sum())
        if not area:
            raise UnusableError(ZERO_AREA)
        return Mask(counts, area, run_extent(counts, height), repairs)
    if not isinstance(segmentation, list):
        raise UnusableError(UNREADABLE_POLYGON)
    return _polygons(segmentation, height, width, repairs)


def _flatten(parts: list[object]) -> tuple[object, tuple[Repair, ...]]:
    """Return the list of polygons, or the RLE, that a list nested another way must mean."""
    first = parts[0]
    if isinstance(first, list):
        if len(first) > 2 and not isinstance(first[0], list):
            return parts, ()
        if len(parts) > 2 and all(_is_point(part) for part in parts):
            flat = [number for part in parts for number in part]  # type: ignore[attr-defined]
            return [flat], ((POLYGON, "a list of points, not of polygons"),)
        if first and all(isinstance(p, list) and all(map(_is_point, p)) for p in parts):
            polygons = [[number for point in p for number in point] for p in parts]  # type: ignore[attr-defined]
            return polygons, ((POLYGON, "polygons of points, not of numbers"),)
    elif isinstance(first, dict) and len(parts) == 1:
        return first, ((POLYGON, "an RLE in a list"),)
    elif _is_number(first):
        return [parts], ((POLYGON, "flat list: wrap it in another, [[x, y, …]]"),)
    return parts, ()


def _as_text(rle: dict[str, object]) -> tuple[dict[str, object], tuple[Repair, ...]]:
    """Return an RLE without what Python prints around the bytes of its counts."""
    counts = rle.get("counts")
    if not isinstance(counts, str) or not counts.startswith(("b'", 'b"')):
        return rle, ()
    try:
        text = ast.literal_eval(counts).decode()
    except (ValueError, SyntaxError) as error:
        raise UnusableError(UNREADABLE_RLE) from error
    return {**rle, "counts": text}, ((POLYGON, "counts of an RLE as Python prints bytes"),)


def _polygons(parts: list[object], height: int, width: int, repairs: tuple[Repair, ...]) -> Mask:
    kept: list[NDArray[np.float64]] = []
    reasons: list[str] = []
    for part in parts:
        try:
            kept.append(_coordinates(part))
        except UnusableError as error:
            reasons.append(str(error))
    if not any(parts):
        raise UnusableError(NO_MASK)
    if not kept:
        raise UnusableError(reasons[0])
    # Coordinates have the digits of a float32 where they are drawn, and so for areas.
    area = sum(_outline_area(part.astype(np.float32)) for part in kept)
    if area <= 0:
        raise UnusableError(ZERO_AREA)
    points = (kept[0] if len(kept) == 1 else np.concatenate(kept)).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise UnusableError(OUTSIDE)
    extent = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    return Mask(tuple(kept), area, extent, (*repairs, *((PART, reason) for reason in reasons)))


def _coordinates(part: object) -> NDArray[np.float64]:
    if not isinstance(part, list) or len(part) % 2:
        raise UnusableError(UNREADABLE_POLYGON)
    if len(part) < FEWEST_NUMBERS:
        raise UnusableError(TOO_FEW_POINTS)
    try:
        array = np.array(part)
    except ValueError as error:  # nested lists of different lengths
        raise UnusableError(UNREADABLE_POLYGON) from error
    if array.dtype.kind not in "iuf" or array.ndim != 1:
        raise UnusableError(UNREADABLE_POLYGON)
    if not (np.abs(array) <= FARTHEST_PX).all():  # not-a-number is not, either
        raise UnusableError(UNREADABLE_POLYGON)
    return array.astype(np.float64)


def _outline_area(flat: NDArray[np.float32]) -> float:
    # Relative to the first point: far from the origin the products would lose digits.
    x = flat[0::2].astype(np.float64) - flat[0]
    y = flat[1::2].astype(np.float64) - flat[1]
    return polygon_area(x, y)


def polygon_area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the area of the polygon whose corners have these coordinates, in order."""
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def run_extent(counts: NDArray[np.integer], height: int) -> Corners:
    """Return the corners around the pixels of run lengths, which go down the columns."""
    ends = np.cumsum(counts, dtype=np.int64)[1::2]
    lengths = counts[1::2]
    ends, lengths = ends[lengths > 0], lengths[lengths > 0]
    starts, last = ends - lengths, ends - 1
    left, right = float(starts[0] // height), float(last[-1] // height + 1)
    if (starts // height != last // height).any():  # a run that goes on in the next column
        return left, 0.0, right, float(height)
    return left, float((starts % height).min()), right, float((last % height).max() + 1)


def _run_lengths(rle: dict[str, object], height: int, width: int) -> NDArray[np.int32]:
    """Return the run lengths of an uncompressed or compressed RLE, checked against the image.

    The check must come before any decoding: run lengths beyond the image would be written
    beyond the mask.
    """
    counts = rle.get("counts")
    size = rle.get("size")
    if size != [height, width]:
        raise UnusableError(SIZE_OF_RLE if isinstance(size, list) else UNREADABLE_RLE)
    if isinstance(counts, str):
        lengths = [float(length) for length in decompress(counts)]
    elif isinstance(counts, list):
        lengths = _numbers(counts, UNREADABLE_RLE)
    else:
        raise UnusableError(UNREADABLE_RLE)
    if any(length < 0 or length != int(length) for length in lengths):
        raise UnusableError(UNREADABLE_RLE)
    if sum(lengths) != height * width:
        raise UnusableError(UNREADABLE_RLE)
    return np.array(lengths, dtype=np.int32)


def decompress(text: str) -> list[int]:
    """Return the run lengths in COCO's text form; they may be negative.

    Raises:
        UnusableError: no such text.

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
        and abs(value) <= LARGEST  # false for not-a-number, too
    ]
    if len(numbers) != len(values):
        raise UnusableError(reason)
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
