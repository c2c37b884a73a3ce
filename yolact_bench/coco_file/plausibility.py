"""Boxes and areas of a whole file against its masks: what cannot be meant is refused or counted.

A file of another convention, such as boxes by their corners, is valid in every single entry and
trains to nonsense; only all entries together show it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

Boxes = Float64[np.ndarray, "n 4"]

_CLOSE_PX, _CLOSE_SHARE = 1.5, 0.05  # of a side: a box as close as this is the one of the mask
_FAR_IOU = 0.5
_FEWEST = 3  # boxes that make a convention; fewer are slips
_LARGEST_MARGIN = 1.4  # times the side of the object
_MOSTLY, _NEARLY_ALL = 0.5, 0.8
# An area so many times larger or smaller than the mask is of something else, such as the box.
_FAR_OUT = 1.1  # times the side of the image
OTHER_SIZE = (
    "they look like those of larger images, or of images whose width and height are swapped; "
    "correct the sizes of the images, or the coordinates"
)
_SMALL_IMAGE_PX = 4
_REMEDY = (
    "write bbox as [x, y, width, height] in px, or remove the key: boxes are then those around "
    "the masks"
)
_FAR_AREA, _FAR_AREA_PX = 2.0, 16.0


class Geometry(NamedTuple):
    """Boxes and masks of objects, in px, on images of `sizes`."""

    boxes: Boxes  # x, y, width, height as the file has them; not-a-number where it has none
    extents: Boxes  # corners around the masks
    sizes: Float64[np.ndarray, "n 2"]  # width and height

    def of(self, rows: Bool[np.ndarray, " n"]) -> "Geometry":
        """Return the same of some objects."""
        return Geometry(*(part[rows] for part in self))


def mistaken_coordinates(geometry: Geometry) -> str:
    """Return what the coordinates of a file look like instead of pixels, "" if they are right."""
    if _are_fractions(geometry):
        return (
            "the coordinates of its masks are all within the first pixel: they look like "
            "fractions of the image; multiply them by its width and height"
        )
    are_boxes = np.asarray((geometry.boxes[:, 2:] > 0).all(1))
    geometry = geometry.of(are_boxes)
    total = len(geometry.boxes)
    if total < _FEWEST or _share(_corners(geometry), geometry.extents) >= _MOSTLY:
        return ""
    shares = {name: _share(read(geometry), geometry.extents) for name, read in _READINGS.items()}
    name = max(shares, key=lambda one: shares[one])
    if shares[name] >= _NEARLY_ALL:
        number, likeness = round(shares[name] * total), name.format(_scale(geometry))
        return f"{number} of {total} boxes look like {likeness}; {_REMEDY}"
    beyond = int((_corners(geometry)[:, 2:] > _FAR_OUT * geometry.sizes).any(1).sum())
    if beyond > _MOSTLY * total:
        return f"{beyond} of {total} boxes reach far beyond their images; {OTHER_SIZE}"
    far = int((_overlaps(geometry) < _FAR_IOU).sum())
    if far > _MOSTLY * total:
        return f"{far} of {total} boxes share less than half with their masks; {_REMEDY}"
    return ""


class Doubts(NamedTuple):
    """Places of objects whose fields contradict each other."""

    apart: NDArray[np.intp]  # box and mask have nothing in common
    far: NDArray[np.intp]  # box and mask share less than half
    areas: NDArray[np.intp]  # the area is not the mask's


def doubts_of(
    geometry: Geometry, areas: NDArray[np.float64], mask_areas: NDArray[np.float64]
) -> Doubts:
    """Return which boxes and areas, in px², are far from the masks.

    Areas are if one is more than twice the other; a few pixels are how borders are counted.
    """
    overlaps = _overlaps(geometry)
    smaller, larger = np.minimum(areas, mask_areas), np.maximum(areas, mask_areas)
    wrong = (larger > _FAR_AREA * smaller) & (larger - smaller > _FAR_AREA_PX)
    return Doubts(
        apart=np.flatnonzero(overlaps == 0),
        far=np.flatnonzero((overlaps > 0) & (overlaps < _FAR_IOU)),
        areas=np.flatnonzero(wrong),
    )


def _are_fractions(geometry: Geometry) -> bool:
    """Return whether nearly all masks lie within the first pixel of larger images."""
    within = (geometry.extents[:, 2:] <= 1).all(1) & (geometry.sizes > _SMALL_IMAGE_PX).all(1)
    return bool(len(geometry.extents) and within.mean() >= _NEARLY_ALL)


def _overlaps(geometry: Geometry) -> NDArray[np.float64]:
    """Return the IoU of each box with the one around its mask, not-a-number without a box."""
    return _iou(_corners(geometry), geometry.extents)


def _corners(geometry: Geometry) -> Boxes:
    return np.hstack((geometry.boxes[:, :2], geometry.boxes[:, :2] + geometry.boxes[:, 2:]))


def _in_pixels(geometry: Geometry) -> Geometry:
    return geometry._replace(boxes=geometry.boxes * np.tile(geometry.sizes, 2))


def _around_centre(geometry: Geometry) -> Boxes:
    centre, half = geometry.boxes[:, :2], geometry.boxes[:, 2:] / 2
    return np.hstack((centre - half, centre + half))


def _scale(geometry: Geometry) -> float:
    """Return how many times larger than the masks the boxes are, a side."""
    sides = geometry.extents[:, 2:] - geometry.extents[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = geometry.boxes[:, 2:] / sides
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else 1.0


def _at_scale(geometry: Geometry) -> Boxes:
    return _corners(geometry) / (_scale(geometry) or 1.0)


def _much(scale: float) -> float:
    """Return a scale, or 1 if it may be a margin around objects."""
    return scale if scale > _LARGEST_MARGIN else 1.0


def _sides_at_scale(geometry: Geometry) -> Boxes:
    scale = _much(_scale(geometry))
    return np.hstack((geometry.boxes[:, :2], geometry.boxes[:, :2] + geometry.boxes[:, 2:] / scale))


def _around_centre_at_scale(geometry: Geometry) -> Boxes:
    """Return the boxes without what a scale about their centres has added."""
    corners, scale = _corners(geometry), _much(_scale(geometry))
    centre, half = (corners[:, :2] + corners[:, 2:]) / 2, geometry.boxes[:, 2:] / 2 / scale
    return np.hstack((centre - half, centre + half))


_READINGS: Mapping[str, Callable[[Geometry], Boxes]] = {
    "corners [x1, y1, x2, y2]": lambda geometry: geometry.boxes,
    "centres with sizes [cx, cy, width, height]": _around_centre,
    "rows before columns [y, x, height, width]": lambda g: _corners(
        g._replace(boxes=g.boxes[:, [1, 0, 3, 2]])
    ),
    "rows before columns, as corners [y1, x1, y2, x2]": lambda g: g.boxes[:, [1, 0, 3, 2]],
    "fractions of the image": lambda geometry: _corners(_in_pixels(geometry)),
    "corners as fractions of the image": lambda geometry: _in_pixels(geometry).boxes,
    "centres with sizes, as fractions of the image": lambda g: _around_centre(_in_pixels(g)),
    "boxes of an image of another size, {:.3g} times as large": _at_scale,
    "sides that are {:.3g} times too long": _sides_at_scale,
    "boxes around the right centres, {:.3g} times too large": _around_centre_at_scale,
}


def _share(corners: Boxes, extents: Boxes) -> float:
    """Return the share of boxes that are, but for rounding, the ones around the masks."""
    sides = np.tile(extents[:, 2:] - extents[:, :2], 2)
    near = np.abs(corners - extents) <= np.maximum(_CLOSE_PX, _CLOSE_SHARE * sides)
    return float(near.all(1).mean())


def _iou(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    common = np.maximum(sides, 0).prod(1)
    areas = [np.maximum(each[:, 2:] - each[:, :2], 0).prod(1) for each in (one, other)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(common / (areas[0] + areas[1] - common))
