"""Segmentations from files, checked before C code sees them, as compressed run lengths.

pycocotools trusts what it is given: a polygon far outside its image ends the process, run lengths
of another sum than the image has pixels are read past their end.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import mask as rle

from runners.evaluation.coco.masks import Rle
from yolact_bench.coco_fields import is_number
from yolact_bench.coco_file.segmentation import FARTHEST_PX
from yolact_bench.errors import brief
from yolact_bench.geometry.text_areas import text_areas

# Of a polygon's outline, of which pycocotools keeps five points a pixel.
_LONGEST_PX = 4e6


class BadMaskError(ValueError):
    """A segmentation that is no mask of its image; `number` is its place among those given."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


def run_lengths_of(
    segmentations: Sequence[object], sizes: Sequence[tuple[int, int]]
) -> tuple[list[Rle], list[float]]:
    """Return segmentations as compressed run lengths, and their areas in pixels.

    Each is polygons, or run lengths of either kind; `sizes` are height and width of its image.

    Raises:
        BadMaskError: the first that is none of these, or does not have the size of its image.
    """
    masks: list[Rle] = []
    for number, (segmentation, size) in enumerate(zip(segmentations, sizes, strict=True)):
        try:
            masks.append(_as_run_lengths(segmentation, *size))
        except ValueError as error:
            raise BadMaskError(number, str(error)) from error
    pixels = np.array([height * width for height, width in sizes], np.int64)
    areas = text_areas([mask["counts"] for mask in masks], pixels)
    wrong = np.flatnonzero(areas < 0)
    if len(wrong):
        number = int(wrong[0])
        raise BadMaskError(
            number,
            f"counts: {brief(masks[number]['counts'])} is not the text of run lengths that "
            f"sum to the {pixels[number]} pixels of the image",
        )
    return masks, areas.tolist()


def _as_run_lengths(segmentation: object, height: int, width: int) -> Rle:
    """Return one segmentation as run lengths; text is taken as it is."""
    if isinstance(segmentation, Mapping):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size != [height, width]:
            got = brief(size)
            raise ValueError(f"the mask is {got} (height, width), its image [{height}, {width}]")
        if isinstance(counts, str):
            return {"size": [height, width], "counts": counts}
        if isinstance(counts, list):
            return _from_lengths(counts, height, width)
        raise ValueError(f"counts: expected run lengths or their text, got {brief(counts)}")
    if not isinstance(segmentation, list) or not segmentation:
        got = brief(segmentation)
        raise ValueError(f"neither run lengths nor polygons, but {got}")
    for polygon in segmentation:
        _check_polygon(polygon)
    return _text(rle.merge(rle.frPyObjects(segmentation, height, width)), height, width)


def _from_lengths(counts: list[object], height: int, width: int) -> Rle:
    pixels = height * width
    for length in counts:
        if not is_number(length) or not 0 <= length <= pixels or length != int(length):  # type: ignore
            raise ValueError(
                f"counts: expected whole numbers from 0 to the {pixels} pixels of the image, got "
                f"{brief(length)}"
            )
    lengths = [int(length) for length in counts]  # type: ignore[call-overload]
    if sum(lengths) != pixels:
        raise ValueError(f"the run lengths cover {sum(lengths)} pixels of {pixels}")
    size = [height, width]
    return _text(rle.frPyObjects({"size": size, "counts": lengths}, height, width), height, width)


def _check_polygon(polygon: object) -> None:
    """Check one polygon; of most other things pycocotools would make some other mask."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        got = brief(polygon)
        raise ValueError(
            f"neither run lengths nor polygons: a polygon is [x1, y1, x2, y2, x3, y3, …], got {got}"
        )
    for value in polygon:
        if not is_number(value) or not abs(value) <= FARTHEST_PX:
            raise ValueError(
                f"a corner at {brief(value)}; expected numbers of pixels within ±{FARTHEST_PX:g}"
            )
    corners = np.array(polygon, np.float64).reshape(-1, 2)
    length = float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())
    if length > _LONGEST_PX:
        raise ValueError(f"an outline of {length:.3g} px, expected at most {_LONGEST_PX:g}")


def _text(packed: Mapping[str, bytes], height: int, width: int) -> Rle:
    return {"size": [height, width], "counts": packed["counts"].decode("ascii")}
