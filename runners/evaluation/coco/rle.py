"""Masks as COCO files may have them, as the compressed run lengths that we work with."""

from collections.abc import Mapping

from pycocotools import mask as rle

from runners.evaluation.coco.index import Rle


def as_run_lengths(segmentation: object, *, height: int, width: int) -> Rle:
    """Return the compressed run lengths of a segmentation: run lengths of either kind, polygons.

    Raises:
        ValueError: it is none, or one of another size than the image's.
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
    """Return polygons as they are: of anything else pycocotools makes a mask that nobody meant."""
    if not isinstance(segmentation, list) or not segmentation:
        raise TypeError(f"{segmentation!r}")
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise TypeError("a polygon is [x1, y1, x2, y2, x3, y3, …]")
    return segmentation


def box_around(mask: Rle) -> list[float]:
    """Return the smallest box x, y, width, height, in pixels, that holds the mask."""
    return [float(side) for side in rle.toBbox(mask)]
