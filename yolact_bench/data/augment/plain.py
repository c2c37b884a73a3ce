"""Augmentations that leave the image whole: resized only, or resized and mirrored."""

import numpy as np
import torch
from jaxtyping import UInt8

from yolact_bench.data.augment.view import (
    MaskSize,
    View,
    mask_side,
    seen_boxes,
    seen_image,
    seen_target,
    whole_image,
)
from yolact_bench.data.objects import Objects
from yolact_bench.ranges import Fraction
from yolact_bench.shapes import Sample


def resize_only(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    rng: np.random.Generator,
    size: int,
    mask_size: int,
    fill: tuple[float, float, float],
    *,
    masks: MaskSize = "network_size",
) -> Sample:
    """Return the image resized to the network's square input, as in evaluation. No draws.

    Source: dbolya/yolact@902073d utils/augmentations.py, `BaseTransform`.
    Differs: resized in 8 bits.
    """
    view = whole_image(objects.height, objects.width)
    return _render(image, objects, view, size, mask_side(masks, size, mask_size), fill)


def mirror(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    rng: np.random.Generator,
    size: int,
    mask_size: int,
    fill: tuple[float, float, float],
    *,
    masks: MaskSize = "network_size",
    probability: Fraction = 0.5,
) -> Sample:
    """Return the image resized, and mirrored with `probability`.

    Source: dbolya/yolact@902073d utils/augmentations.py, `RandomMirror`.
    Differs: resized in 8 bits.
    """
    view = whole_image(objects.height, objects.width)
    view = view.mirror() if rng.random() < probability else view
    return _render(image, objects, view, size, mask_side(masks, size, mask_size), fill)


def _render(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    view: View,
    size: int,
    side: int,
    fill: tuple[float, float, float],
) -> Sample:
    rows = np.arange(len(objects))
    return Sample(
        image=torch.from_numpy(seen_image(image, view, size, fill)),
        target=seen_target(objects, rows, seen_boxes(objects, view), view, side),
    )
