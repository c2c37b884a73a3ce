"""The auxiliary semantic segmentation loss: the slot SEMANTIC_LOSSES."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.geometry.masks import masks_at
from yolact_bench.loss.protocols import SemanticLoss
from yolact_bench.shapes import Target
from yolact_bench.slots import NotNegative, with_facts


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
    if logits is None:
        raise SpecError(
            "semantic_loss.bce: the network gave no semantic logits; call network.train() "
            "before the forward pass, or write semantic_loss: {name: none}"
        )
    wanted = torch.stack([class_maps(target, logits.shape[1:]) for target in targets])
    total = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    images, _, height, width = logits.shape
    return weight * total / (height * width * images)


def class_maps(target: Target, shape: Sequence[int]) -> Float32[Tensor, "C h w"]:
    """For each class the union of its objects' masks; crowds are left out.

    Resized first, then united: two halves of a cell do not add up to a full one.
    """
    masks = masks_at(target.masks, shape[1], shape[2])
    masks = masks.masked_fill(target.is_crowd[:, None, None], 0.0)
    labels = target.labels.clamp(min=0)  # a crowd's may be -1, and adds nothing
    return masks.new_zeros(tuple(shape)).index_add(0, labels, masks).clamp(max=1.0)


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
