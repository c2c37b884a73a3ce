"""What of an image is seen, as one window, and the image and its objects seen through it.

Expand, crop, mirror and resize are all choices of a window; they are composed before a single
pixel is touched, so that the image is resampled once.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8

from yolact_bench.data.objects import Objects, pixel_centres, rasterise
from yolact_bench.shapes import Target

MaskSize = Literal["network_size", "prototype_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A window in image pixels, which may reach beyond the image, and whether it is mirrored."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool = False

    def mirror(self) -> "View":
        """Return the same window, mirrored left to right."""
        return replace(self, mirrored=not self.mirrored)

    def matrix(self, side: int) -> Float64[np.ndarray, "2 3"]:
        """Return the map from image pixels to a square of `side`, whole at pixel edges."""
        x, y = side / self.width, side / self.height
        matrix = np.array([[x, 0.0, -self.left * x], [0.0, y, -self.top * y]])
        if self.mirrored:
            matrix[0] = -matrix[0] + (0.0, 0.0, side)
        return matrix


def whole_image(height: int, width: int) -> View:
    """Return the view of an image as it is."""
    return View(left=0.0, top=0.0, width=float(width), height=float(height))


def mask_side(masks: MaskSize, size: int, mask_size: int) -> int:
    """Return the side at which outlines are drawn: the network's or the prototypes'."""
    return size if masks == "network_size" else mask_size


def seen_image(
    image: UInt8[np.ndarray, "H W 3"], view: View, size: int, fill: tuple[float, float, float]
) -> UInt8[np.ndarray, "S S 3"]:
    """Return the image through `view` at `size` x `size`; what lies beyond it is `fill`.

    Bilinear without antialiasing, half-pixel centres, aspect ratio not kept.
    """
    height, width = image.shape[:2]
    x0, y0 = int(view.left), int(view.top)
    x1, y1 = int(view.left + view.width), int(view.top + view.height)
    whole_pixels = (x0, y0, x1 - x0, y1 - y0) == (view.left, view.top, view.width, view.height)
    if whole_pixels and min(x0, y0) >= 0 and x1 <= width and y1 <= height:
        # The same samples as the warp below, faster, and no filling at the edges.
        resized = cv2.resize(image[y0:y1, x0:x1], (size, size))
        return np.asarray(cv2.flip(resized, 1) if view.mirrored else resized, dtype=np.uint8)
    rows, columns = image_region(height, width, view, size)
    matrix = pixel_centres(view.matrix(size))
    matrix[:, 2] -= columns.start, rows.start
    extent = (columns.stop - columns.start, rows.stop - rows.start)
    if min(extent) <= 0:
        return np.full((size, size, 3), np.rint(fill), np.uint8)
    # Four channels give the same samples as three, faster.
    padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    warped = cv2.warpAffine(padded, matrix, extent, borderValue=(*fill, 0.0))
    part = cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
    margins = (rows.start, size - rows.stop, columns.start, size - columns.stop)
    seen = cv2.copyMakeBorder(part, *margins, cv2.BORDER_CONSTANT, value=fill)
    return np.asarray(seen, dtype=np.uint8)


def image_region(height: int, width: int, view: View, size: int) -> tuple[slice, slice]:
    """Return the rows and columns of the seen image that show any of the image."""
    matrix = view.matrix(size)
    xs = sorted(matrix[0, 0] * x + matrix[0, 2] for x in (0, width))
    ys = sorted(matrix[1, 1] * y + matrix[1, 2] for y in (0, height))
    (x0, x1), (y0, y1) = (
        (min(max(math.floor(low), 0), size), min(max(math.ceil(high), 0), size))
        for low, high in (xs, ys)
    )
    return slice(y0, y1), slice(x0, x1)


def seen_boxes(objects: Objects, view: View) -> Float64[np.ndarray, "N 4"]:
    """Return the boxes through `view`, clipped to it, as corner fractions."""
    matrix = view.matrix(1)
    corners = objects.boxes_px.reshape(-1, 2, 2) * (matrix[0, 0], matrix[1, 1]) + matrix[:, 2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    return np.concatenate((low, high), axis=1).clip(0.0, 1.0)


def seen_target(
    objects: Objects,
    rows: Int64[np.ndarray, " M"],
    boxes: Float64[np.ndarray, "N 4"],
    view: View,
    mask_side: int,
) -> Target:
    """Return the objects of these rows through `view`, with masks of `mask_side`.

    `boxes` are the `seen_boxes` of all objects.
    """
    masks = rasterise(
        tuple(objects.segments[row] for row in rows), view.matrix(mask_side), mask_side
    )
    return Target(
        boxes=torch.from_numpy(boxes[rows].astype(np.float32)),
        labels=torch.from_numpy(objects.labels[rows]),
        masks=torch.from_numpy(masks),
        is_crowd=torch.from_numpy(objects.is_crowd[rows]),
    )
