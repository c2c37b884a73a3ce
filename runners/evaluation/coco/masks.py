"""Masks as COCO's compressed run lengths: made, measured and compared by pycocotools."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

_AT_ONCE = 128  # pycocotools 2.0.11 overflows on the areas of more than 255 masks at a time


class Rle(TypedDict):
    """A run-length encoded mask, as COCO's result format has it."""

    size: list[int]  # height, width
    counts: str


def box_around(mask: Rle) -> list[float]:
    """Return the smallest box x, y, width, height, in pixels, that holds the mask."""
    return [float(side) for side in rle.toBbox(mask)]


def iou(
    detections: Sequence[object], objects: Sequence[object], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the IoU [D, G] of boxes (x, y, width, height) or of run lengths, with each object.

    With a crowd it is the part of the detection inside it.
    """
    if not detections or not objects:  # pycocotools gives a list here, without a shape
        return np.zeros((len(detections), len(objects)))
    return np.asarray(rle.iou(detections, objects, crowd.tolist()), np.float64)


def encode_outlines(polygons: Sequence[NDArray[np.float64]], *, height: int, width: int) -> Rle:
    """Return the run lengths of the union of polygons [P, 2], as scoring draws them."""
    flat = [polygon.reshape(-1).tolist() for polygon in polygons]
    united = rle.merge(rle.frPyObjects(flat, height, width))
    return {"size": [height, width], "counts": united["counts"].decode("ascii")}


def encode_pixels(pixels: NDArray[np.uint8]) -> Rle:
    """Return the run lengths of a mask of 0 and 1."""
    height, width = pixels.shape
    packed = rle.encode(np.asfortranarray(pixels))
    return {"size": [height, width], "counts": packed["counts"].decode("ascii")}


def areas(masks: Sequence[Rle]) -> list[float]:
    """Return the number of pixels of each mask."""
    parts = (masks[start : start + _AT_ONCE] for start in range(0, len(masks), _AT_ONCE))
    return [float(area) for part in parts for area in rle.area(part)]
