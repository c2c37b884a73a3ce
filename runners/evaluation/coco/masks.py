"""Masks as COCO's compressed run lengths: made, measured and compared by pycocotools."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

_AT_ONCE = 128  # pycocotools 2.0.11 overflows on the areas of more than 255 masks at a time


class Rle(TypedDict):
    """A run-length encoded mask, as COCO's result format has it."""

    size: list[int]  # height, width
    counts: str


def as_run_lengths(segmentation: object, *, height: int, width: int) -> Rle:
    """Return a segmentation, run lengths of either kind or polygons, as compressed run lengths.

    Raises:
        ValueError: it is neither, or does not have the size of the image.
    """
    size = [height, width]
    try:
        if isinstance(segmentation, Mapping):
            if list(segmentation["size"]) != size:
                raise ValueError(
                    f"the mask is {segmentation['size']} (height, width), its image {size}"
                )
            counts = segmentation["counts"]
            if isinstance(counts, list):
                packed = rle.frPyObjects({"size": size, "counts": counts}, height, width)
            else:
                packed = {"size": size, "counts": str(counts).encode("ascii")}
        else:
            packed = rle.merge(rle.frPyObjects(_polygons(segmentation), height, width))
        area = int(rle.area(packed))
    except (KeyError, TypeError, AttributeError, IndexError, UnicodeEncodeError) as error:
        raise ValueError(f"neither run lengths nor polygons ({error})") from error
    if not 0 <= area <= height * width:
        raise ValueError(f"the run lengths cover {area} pixels of {height * width}")
    return {"size": size, "counts": packed["counts"].decode("ascii")}


def _polygons(segmentation: object) -> list[list[float]]:
    """Return polygons unchanged; of anything else pycocotools would make some other mask."""
    if not isinstance(segmentation, list) or not segmentation:
        raise TypeError(f"{segmentation!r}")
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise TypeError("a polygon is [x1, y1, x2, y2, x3, y3, …]")
    return segmentation


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
