"""Augmentations that leave the image whole: resized only, or resized and mirrored."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8

from yolact_bench.data.augment.view import seen_boxes, seen_image, seen_target, whole_image
from yolact_bench.data.objects import Objects
from yolact_bench.shapes import Sample
from yolact_bench.slots import Fraction


def resize_only(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    rng: np.random.Generator,
    size: int,
    mask_size: int,
    fill: tuple[float, float, float],
    *,
    masks: Literal["network_size", "prototype_size"] = "network_size",
) -> Sample:
    """Return the image resized to the network's square input, as in evaluation. No draws.

    Source: dbolya/yolact@902073d utils/augmentations.py, `BaseTransform`.
    Differs: resized in 8 bits.
    """
    mask_side = mask_size if masks == "prototype_size" else size
    return _render(image, objects, size, mask_side, fill)


def mirror(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    rng: np.random.Generator,
    size: int,
    mask_size: int,
    fill: tuple[float, float, float],
    *,
    masks: Literal["network_size", "prototype_size"] = "network_size",
    probability: Fraction = 0.5,
) -> Sample:
    """Return the image resized, and mirrored with `probability`.

    Source: dbolya/yolact@902073d utils/augmentations.py, `RandomMirror`.
    Differs: resized in 8 bits.
    """
    mask_side = mask_size if masks == "prototype_size" else size
    return _render(image, objects, size, mask_side, fill, mirrored=rng.random() < probability)


def _render(
    image: UInt8[np.ndarray, "H W 3"],
    objects: Objects,
    size: int,
    mask_side: int,
    fill: tuple[float, float, float],
    *,
    mirrored: bool = False,
) -> Sample:
    view = whole_image(objects.height, objects.width)
    view = view.mirror() if mirrored else view
    rows = np.arange(len(objects))
    return Sample(
        image=torch.from_numpy(seen_image(image, view, size, fill)),
        target=seen_target(objects, rows, seen_boxes(objects, view), view, mask_side),
    )
