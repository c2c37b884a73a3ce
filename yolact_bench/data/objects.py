"""The objects of one image as a data set hands them out, and their masks as pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy.typing import NDArray

# Outlines in image pixels, [P, 2] each, whose union is the object; or its pixels, 0 or 1.
Polygons = tuple[NDArray[np.float64], ...]
Bitmap = NDArray[np.uint8]
Segment = Polygons | Bitmap

# `fillPoly` also colours every pixel its outline touches, half a pixel too much all around.
# Drawing on a canvas of about this side and reading it at the cell centres keeps that
# surplus under half a canvas pixel, however small the mask.
_CANVAS_PX = 550
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
    scale = max(1, round(_CANVAS_PX / side))
    canvas = np.zeros((side * scale, side * scale), np.uint8) if scale > 1 else None
    for mask, segment in zip(masks, segments, strict=True):
        if not isinstance(segment, tuple):
            mask[:] = _warped(segment, matrix, side)
        elif canvas is None:
            _draw(mask, segment, matrix)
        else:
            canvas.fill(0)
            _draw(canvas, segment, matrix * scale)
            mask[:] = canvas[scale // 2 :: scale, scale // 2 :: scale]
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


def _draw(canvas: Bitmap, polygons: Polygons, matrix: NDArray[np.float64]) -> None:
    for polygon in polygons:  # one call each: a shared call would cut out where parts overlap
        points = polygon @ matrix[:, :2].T + (matrix[:, 2] - 0.5)
        fixed = np.rint(points * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], (1,), shift=_FRACTION_BITS)


def _warped(bitmap: Bitmap, matrix: NDArray[np.float64], side: int) -> Bitmap:
    warped = cv2.warpAffine(bitmap * 255, pixel_centres(matrix), (side, side))
    return (warped > 127).astype(np.uint8)
