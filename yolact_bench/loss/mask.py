"""The mask loss: the slot MASK_LOSSES."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from yolact_bench.geometry.masks import LinearCombination, masks_at
from yolact_bench.loss.protocols import MaskLoss, Positives, SoftMasks
from yolact_bench.slots import Count, NotNegative


def lincomb_bce(
    images: Sequence[Positives],
    normaliser: Float[Tensor, ""],
    generator: torch.Generator | None,
    *,
    weight: NotNegative = 6.125,
    max_positives: Count = 100,
    crop: bool = True,
) -> tuple[Float[Tensor, ""], Sequence[SoftMasks]]:
    """Binary cross-entropy of σ(P·Cᵀ), cropped by the object's box, over the box's area.

    Above `max_positives` in an image a random subset, drawn with `generator`, stands for all.
    The cross-entropy is taken of probabilities with the logarithm clamped at -100: a sigmoid
    saturated at 1 on a background cell costs 100, which from logits it would not. Without
    `crop` every cell of the map counts, so the map's area takes the place of the box's; pair
    it with an assembly that does not crop.

    Source: YOLACT (arXiv:1904.02689), paragraphs "Losses" and "Cropping Masks";
    dbolya/yolact@902073d layers/modules/multibox_loss.py, `lincomb_mask_loss`.
    Differs: a mask that is not a number makes the loss such a number; the reference aborts.
    """
    total = normaliser.new_zeros(())
    assembled = []
    for image in images:
        rows, scale = _subset(len(image.truth), max_positives, generator)
        truth = image.truth[rows]
        boxes = image.boxes[truth]
        masks = _assemble(image, rows, boxes, crop=crop, truth=truth)
        # NaN probabilities abort binary_cross_entropy, on a GPU the process with
        # it. They go in as 0 and come out as what they are, for the training loop to see.
        finite = masks.predicted.nan_to_num(nan=0.0)
        cells = F.binary_cross_entropy(finite, masks.wanted, reduction="none")
        cells = cells.masked_fill(masks.predicted.isnan(), torch.nan)
        area = _area_in_cells(boxes, masks.predicted, crop=crop)
        total = total + (cells.sum(dim=(1, 2)) / area).sum() * scale
        assembled.append(masks)
    return weight * total / normaliser, assembled


def _assemble(
    image: Positives,
    rows: Int64[Tensor, " P"] | slice,
    boxes: Float32[Tensor, "P 4"],
    *,
    crop: bool,
    truth: Int64[Tensor, " P"],
) -> SoftMasks:
    height, width, _ = image.prototypes.shape
    assembly = LinearCombination(crop=crop)
    return SoftMasks(
        predicted=assembly(image.prototypes, image.coefficients[rows], boxes),
        wanted=masks_at(image.masks, height, width)[truth],
        labels=image.labels[truth],
        boxes=boxes,
        features=image.features,
    )


def _subset(
    count: int, limit: int, generator: torch.Generator | None
) -> tuple[Int64[Tensor, " P"] | slice, float]:
    """Rows to use, at most `limit`, and what their sum must be multiplied by."""
    if count <= limit:
        return slice(None), 1.0
    device = generator.device if generator is not None else None
    rows = torch.randperm(count, generator=generator, device=device)[:limit]
    return rows, count / limit


def _area_in_cells(
    boxes: Float32[Tensor, "P 4"], masks: Float32[Tensor, "P h w"], *, crop: bool
) -> Float32[Tensor, " P"]:
    height, width = masks.shape[1:]
    if not crop:
        return boxes.new_full((len(boxes),), float(height * width))
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides[:, 0] * width) * (sides[:, 1] * height)


MASK_LOSSES: Mapping[str, MaskLoss] = {"lincomb_bce": lincomb_bce}
