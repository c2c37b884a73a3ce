"""The training augmentation of YOLACT, which is SSD's: photometric, expand, crop, mirror."""

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8

from yolact_bench.data.augment.photometric import distort
from yolact_bench.data.augment.view import (
    MaskSize,
    View,
    image_region,
    mask_side,
    seen_boxes,
    seen_image,
    seen_target,
    whole_image,
)
from yolact_bench.data.objects import Objects
from yolact_bench.ranges import AtLeastOne, Fraction
from yolact_bench.shapes import Sample
from yolact_bench.slots import with_facts

_MIN_CROP_SIDE = 0.3  # of the (expanded) image
_CROP_TRIES = 50
# The reference means 4 px at 550 but compares pixels with this fraction of a side, so that next to
# nothing is dropped. Kept, because its models were trained so.
_MIN_SIDE = 4 / 550


@with_facts(unused_with={"max_expand": ("expand", [0])})
def ssd(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    rng: np.random.Generator,
    size: int,
    mask_size: int,
    fill: tuple[float, float, float],
    *,
    masks: MaskSize = "network_size",
    photometric: Fraction = 0.5,
    expand: Fraction = 0.5,
    max_expand: AtLeastOne = 4.0,
    crop: Fraction = 5 / 6,
    mirror: Fraction = 0.5,
) -> Sample:
    """Return the image and its objects changed at random, at the network's square input.

    `photometric`, `expand`, `crop` and `mirror` are probabilities. The geometry is drawn on
    the boxes, then the 8-bit image is warped once and outlines are drawn at the mask size:
    the network's (the losses resize as the reference does) or, faster, the prototypes'.
    Objects whose centre a crop leaves outside are dropped, the others clipped.

    Source: dbolya/yolact@902073d utils/augmentations.py, `SSDAugmentation`.
    Differs: the crop there draws one of {none, 0.1, 0.3, 0.7, 0.9, any} as an IoU bound, which then
    has no effect: it comes to cropping with probability 5/6 here. Colours are changed in 8 bits,
    after the warp; the reference uses unclipped floats, before it.
    """
    view = whole_image(objects.height, objects.width)
    if rng.random() < expand:
        view = _expand(view, rng, max_expand)
    view, inside = _crop(view, objects, rng, crop)
    if rng.random() < mirror:
        view = view.mirror()
    seen = seen_image(image, view, size, fill)
    region = image_region(objects.height, objects.width, view, size)
    if seen[region].size:
        seen[region] = distort(seen[region], rng=rng, probability=photometric)
    boxes = seen_boxes(objects, view)
    rows = _large_enough(inside, boxes, size)
    target = seen_target(objects, rows, boxes, view, mask_side(masks, size, mask_size))
    return Sample(image=torch.from_numpy(seen), target=target)


def _expand(view: View, rng: np.random.Generator, max_expand: float) -> View:
    """Return a canvas 1 to `max_expand` times as large, the image at a random place of it."""
    ratio = rng.uniform(1.0, max_expand)
    width, height = int(view.width * ratio), int(view.height * ratio)
    left = int(rng.uniform(0.0, width - view.width))
    top = int(rng.uniform(0.0, height - view.height))
    return View(left=-float(left), top=-float(top), width=float(width), height=float(height))


def _crop(
    view: View, objects: Objects, rng: np.random.Generator, probability: float
) -> tuple[View, Bool[np.ndarray, " N"]]:
    """Return a window of `view`, and which objects have their centre in it.

    It must show the centre of an object that is not a crowd, when the image has any. After 50
    failures the draw between crop and no crop is made again, as in the reference; with
    `probability` 1 it is made once, so that an object too close to an edge ends it.
    """
    centres = (objects.boxes_px[:, :2] + objects.boxes_px[:, 2:]) / 2
    everything = np.ones(len(objects), dtype=bool)
    needed = ~objects.is_crowd if (~objects.is_crowd).any() else None
    while rng.random() < probability:
        for _ in range(_CROP_TRIES):
            window = _window(view, rng)
            if window is None:
                continue
            inside = _holds(window, centres)
            if needed is None or (inside & needed).any():
                return window, inside
        if probability >= 1:
            break
    return view, everything


def _window(view: View, rng: np.random.Generator) -> View | None:
    """Return a random window of `view`, or None when its aspect is beyond 1 : 2."""
    width = rng.uniform(_MIN_CROP_SIDE * view.width, view.width)
    height = rng.uniform(_MIN_CROP_SIDE * view.height, view.height)
    if not 0.5 <= height / width <= 2.0:
        return None
    x0 = rng.uniform(0.0, view.width - width)
    y0 = rng.uniform(0.0, view.height - height)
    x1, y1 = int(x0 + width), int(y0 + height)
    x0, y0 = int(x0), int(y0)
    return View(left=view.left + x0, top=view.top + y0, width=float(x1 - x0), height=float(y1 - y0))


def _holds(window: View, centres: Float64[np.ndarray, "N 2"]) -> Bool[np.ndarray, " N"]:
    x, y = centres[:, 0] - window.left, centres[:, 1] - window.top
    return (x > 0) & (x < window.width) & (y > 0) & (y < window.height)


def _large_enough(
    inside: Bool[np.ndarray, " N"], boxes: Float64[np.ndarray, "N 4"], size: int
) -> Int64[np.ndarray, " M"]:
    sides_px = (boxes[:, 2:] - boxes[:, :2]) * size
    return np.flatnonzero(inside & (sides_px > _MIN_SIDE).all(axis=1))
