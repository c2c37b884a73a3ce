"""The objects of one image as a data set hands them out, and their masks as pixels."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy.typing import NDArray

# Outlines in image pixels, [P, 2] each, whose union is the object; or its pixels, 0 or 1.
Polygons = tuple[NDArray[np.float64], ...]
Bitmap = NDArray[np.uint8]
Segment = Polygons | Bitmap

# `fillPoly` also colours every pixel that its outline touches, half a pixel too much all
# around: of an object 50 px wide, 4 % of its area. So it draws on a finer canvas, which is
# read at the cell centres: an odd number of canvas pixels per cell, more for small objects.
_CANVAS_PX = 800
_LEAST_SCALE, _MOST_SCALE = 3, 9
_FRACTION_BITS = 5  # of a canvas pixel, in the fixed-point coordinates of `fillPoly`


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The usable objects of one image; degenerate annotations are already left out."""

    boxes_px: Float64[np.ndarray, "N 4"]  # corners
    labels: Int64[np.ndarray, " N"]
    segments: tuple[Segment, ...]
    is_crowd: Bool[np.ndarray, " N"]
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.labels)


def rasterise(
    segments: tuple[Segment, ...], matrix: Float64[np.ndarray, "2 3"], side: int
) -> UInt8[np.ndarray, "N side side"]:
    """Return the masks of `segments` after the affine map `matrix`, as 0 or 1.

    `matrix` takes image pixels to mask cells, both with whole numbers at pixel edges. A cell
    is 1 when its centre lies in the object, which is what a bilinear resize of the full mask
    without antialiasing tends to; bitmaps are sampled bilinearly and cut at one half.
    """
    masks = np.zeros((len(segments), side, side), np.uint8)
    for mask, segment in zip(masks, segments, strict=True):
        if isinstance(segment, tuple):
            _draw(mask, segment, matrix)
        else:
            warped = cv2.warpAffine(segment * 255, pixel_centres(matrix), (side, side))
            mask[:] = warped > 127
    return masks


def pixel_centres(matrix: Float64[np.ndarray, "2 3"]) -> Float64[np.ndarray, "2 3"]:
    """Return the same map for coordinates that are whole at pixel centres, as OpenCV has them."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    return shifted


def run_lengths(bitmap: UInt8[np.ndarray, "H W"]) -> list[int]:
    """Return COCO's run lengths of a 0/1 bitmap: down the columns, zeros first."""
    flat = bitmap.T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], edges, [flat.size]))
    lengths: list[int] = np.diff(bounds).tolist()
    return [0, *lengths] if flat[0] else lengths


def from_run_lengths(counts: NDArray[np.integer], height: int, width: int) -> Bitmap:
    """Return the bitmap whose COCO run lengths are `counts`; they must sum to its size."""
    values = np.arange(len(counts), dtype=np.uint8) & 1
    return np.ascontiguousarray(np.repeat(values, counts).reshape(width, height).T)


def _draw(mask: Bitmap, polygons: Polygons, matrix: NDArray[np.float64]) -> None:
    """Draw on a finer canvas, only as large as the object, and sample that."""
    parts = [polygon @ matrix[:, :2].T + matrix[:, 2] for polygon in polygons]
    points = parts[0] if len(parts) == 1 else np.concatenate(parts)
    side = len(mask)
    left, top = (min(max(math.floor(low), 0), side) for low in points.min(axis=0).tolist())
    right, bottom = (min(max(math.ceil(high), 0), side) for high in points.max(axis=0).tolist())
    width, height = right - left, bottom - top
    if not width or not height:
        return
    fine = 2 * (_CANVAS_PX // (2 * max(width, height))) + 1
    scale = min(max(fine, _LEAST_SCALE), _MOST_SCALE)
    canvas = np.zeros((height * scale, width * scale), np.uint8)
    for part in parts:  # one call each: a shared call would cut out where parts overlap
        pixels = (part - (left, top)) * scale - 0.5
        fixed = np.rint(pixels * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], (1,), shift=_FRACTION_BITS)
    cells = canvas[scale // 2 :: scale, scale // 2 :: scale]
    mask[top:bottom, left:right] = cells
