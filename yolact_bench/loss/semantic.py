"""The auxiliary semantic segmentation loss: the slot SEMANTIC_LOSSES."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.geometry.masks import masks_at
from yolact_bench.loss.protocols import SemanticLoss
from yolact_bench.ranges import NotNegative
from yolact_bench.shapes import Target, Targets
from yolact_bench.slots import with_facts


def bce_of_batch(
    logits: Float[Tensor, "B C h w"] | None,
    targets: Targets,
    *,
    weight: NotNegative = 1.0,
) -> Float[Tensor, ""]:
    """`bce` with the maps of all images made at once: the same zeros and ones."""
    logits = _check(logits)
    images, classes, height, width = logits.shape
    objects, image = targets.objects, targets.places[0]
    masks = _masks_of_objects(objects, height, width)
    row = image * classes + objects.labels.clamp(min=0)
    maps = masks.new_zeros((images * classes, height, width)).index_add(0, row, masks)
    return _cost(logits, maps.clamp(max=1.0).view_as(logits), weight)


@with_facts(of_batch=bce_of_batch)
def bce(
    logits: Float[Tensor, "B C h w"] | None,
    targets: Sequence[Target],
    *,
    weight: NotNegative = 1.0,
) -> Float[Tensor, ""]:
    """Binary cross-entropy summed over classes, averaged over cells and images.

    Not divided by the positives: an image without objects counts as much as any other.

    Raises:
        SpecError: the network gave no semantic logits.

    Source: YOLACT (arXiv:1904.02689), section "Semantic Segmentation Loss"; dbolya/yolact@902073d
    layers/modules/multibox_loss.py, `semantic_segmentation_loss`.
    Differs: nothing.
    """
    logits = _check(logits)
    wanted = torch.stack([class_maps(target, logits.shape[1:]) for target in targets])
    return _cost(logits, wanted, weight)


def class_maps(target: Target, shape: Sequence[int]) -> Float32[Tensor, "C h w"]:
    """For each class the union of its objects' masks; crowds are left out.

    Resized first, then united: two halves of a cell do not add up to a full one.
    """
    masks = _masks_of_objects(target, shape[1], shape[2])
    labels = target.labels.clamp(min=0)  # a crowd's may be -1, and adds nothing
    return masks.new_zeros(tuple(shape)).index_add(0, labels, masks).clamp(max=1.0)


def _masks_of_objects(target: Target, height: int, width: int) -> Float32[Tensor, "N h w"]:
    """Masks at that size, of crowds nothing."""
    return masks_at(target.masks, height, width).masked_fill(target.is_crowd[:, None, None], 0.0)


def _check(logits: Float[Tensor, "B C h w"] | None) -> Float[Tensor, "B C h w"]:
    if logits is None:
        raise SpecError(
            "semantic_loss.bce: the network gave no semantic logits; call network.train() "
            "before the forward pass, or write semantic_loss: {name: none}"
        )
    return logits


def _cost(
    logits: Float[Tensor, "B C h w"], wanted: Float[Tensor, "B C h w"], weight: float
) -> Float[Tensor, ""]:
    total = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    images, _, height, width = logits.shape
    return weight * total / (height * width * images)


@with_facts(makes_nothing=True)
def no_semantic_loss(
    logits: Float[Tensor, "B C h w"] | None, targets: Sequence[Target]
) -> Float[Tensor, ""] | None:
    """No semantic term, even if the network gives logits.

    Source: YOLACT (arXiv:1904.02689), section "Semantic Segmentation Loss", its baseline.
    Differs: nothing.
    """
    return None


SEMANTIC_LOSSES: Mapping[str, SemanticLoss] = {"bce": bce, "none": no_semantic_loss}
