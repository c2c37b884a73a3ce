"""The mask loss: the slot MASK_LOSSES."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from yolact_bench.geometry.masks import LinearCombination, masks_at
from yolact_bench.geometry.masks import crop as crop_masks
from yolact_bench.loss.padded import rows_of
from yolact_bench.loss.protocols import (
    BatchPositives,
    BatchSoftMasks,
    MaskLoss,
    Positives,
    SoftMasks,
)
from yolact_bench.ranges import Count, NotNegative
from yolact_bench.slots import with_facts


def lincomb_bce_of_batch(
    batch: BatchPositives,
    normaliser: Float[Tensor, ""],
    generator: torch.Generator | None,
    *,
    weight: NotNegative = 6.125,
    max_positives: Count = 100,
    crop: bool = True,
) -> tuple[Float[Tensor, ""], BatchSoftMasks]:
    """`lincomb_bce` with `max_positives` rows for every image, of which the used ones count.

    Above that limit, those anchors of an image are looked at that draw the highest numbers: one
    for each anchor of each image, from `generator`.
    """
    anchor, used = _draw(batch.positive, max_positives, generator)
    masks, boxes = _assemble_batch(batch, anchor, used, crop=crop)
    cells = _cross_entropy(masks)
    # An unused row may have a box without area. What is divided by 0 gives its weights NaN as
    # gradients, whatever it is replaced by afterwards.
    area = _area_in_cells(boxes, masks.predicted, crop=crop).masked_fill(~masks.used, 1.0)
    costs = (cells.sum(dim=(1, 2)) / area).masked_fill(~masks.used, 0.0)
    counts = batch.positive.sum(dim=1)
    scale = (counts / used.shape[1]).clamp(min=1.0)  # of a subset that stands for all
    total = (costs.view_as(used).sum(dim=1) * scale).sum()
    return weight * total / normaliser, masks


@with_facts(of_batch=lincomb_bce_of_batch)
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
        cells = _cross_entropy(masks)
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


def _draw(
    positive: Bool[Tensor, "B A"], limit: int, generator: torch.Generator | None
) -> tuple[Int64[Tensor, "B K"], Bool[Tensor, "B K"]]:
    """K anchors of each image, the positive first, and which of them are positive."""
    key = torch.rand(positive.shape, generator=generator, device=positive.device)
    key = key.masked_fill_(~positive, -1.0)
    drawn, anchor = key.topk(min(limit, positive.shape[1]), dim=1)
    return anchor, drawn >= 0


def _assemble_batch(
    batch: BatchPositives, anchor: Int64[Tensor, "B K"], used: Bool[Tensor, "B K"], *, crop: bool
) -> tuple[BatchSoftMasks, Float32[Tensor, "R 4"]]:
    """The masks of these anchors, image by image, and the boxes of their objects."""
    objects = batch.objects
    truth = batch.truth.gather(1, anchor)
    boxes = rows_of(objects.boxes, truth).flatten(0, 1)
    coefficients = rows_of(batch.coefficients, anchor)  # [B, K, k]
    height, width = batch.prototypes.shape[1:3]
    logits = coefficients @ batch.prototypes.flatten(1, 2).mT  # [B, K, h·w]
    predicted = logits.sigmoid().view(-1, height, width)
    wanted = masks_at(objects.objects.masks, height, width)
    masks = BatchSoftMasks(
        predicted=crop_masks(predicted, boxes) if crop else predicted,
        wanted=wanted.index_select(0, objects.number.gather(1, truth).flatten()),
        labels=objects.labels.gather(1, truth).flatten().clamp(min=0),
        used=used.flatten(),
    )
    return masks, boxes


def _cross_entropy(masks: SoftMasks | BatchSoftMasks) -> Float32[Tensor, "P h w"]:
    """The cross-entropy of each cell; of a probability that is no number, no number either."""
    # NaN probabilities abort binary_cross_entropy, on a GPU the process with it. They go in as 0
    # and come out as what they are, for the training loop to see.
    finite = masks.predicted.nan_to_num(nan=0.0)
    cells = F.binary_cross_entropy(finite, masks.wanted, reduction="none")
    return cells.masked_fill(masks.predicted.isnan(), torch.nan)


def _area_in_cells(
    boxes: Float32[Tensor, "P 4"], masks: Float32[Tensor, "P h w"], *, crop: bool
) -> Float32[Tensor, " P"]:
    height, width = masks.shape[1:]
    if not crop:
        return boxes.new_full((len(boxes),), float(height * width))
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides[:, 0] * width) * (sides[:, 1] * height)


MASK_LOSSES: Mapping[str, MaskLoss] = {"lincomb_bce": lincomb_bce}
