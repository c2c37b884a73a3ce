"""The box loss: the slot BOX_LOSSES."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from yolact_bench.geometry.boxes import encode
from yolact_bench.loss.protocols import BoxLoss
from yolact_bench.ranges import NotNegative
from yolact_bench.slots import with_facts


def smooth_l1_of_batch(
    regressions: Float[Tensor, "B A 4"],
    anchors_cxcywh: Float[Tensor, "A 4"],
    boxes: Float[Tensor, "B A 4"],
    positive: Bool[Tensor, "B A"],
    normaliser: Float[Tensor, ""],
    *,
    weight: NotNegative = 1.5,
) -> Float[Tensor, ""]:
    """`smooth_l1` of the positive anchors among all; a gap of 0 stands for the others."""
    gaps = regressions - encode(boxes, anchors_cxcywh.expand_as(boxes))
    gaps = gaps.masked_fill(~positive[..., None], 0.0)
    total = F.smooth_l1_loss(gaps, torch.zeros_like(gaps), reduction="sum")
    return weight * total / normaliser


@with_facts(of_batch=smooth_l1_of_batch)
def smooth_l1(
    regressions: Float[Tensor, "N 4"],
    anchors_cxcywh: Float[Tensor, "N 4"],
    boxes: Float[Tensor, "N 4"],
    normaliser: Float[Tensor, ""],
    *,
    weight: NotNegative = 1.5,
) -> Float[Tensor, ""]:
    """Smooth L1 between regressions and encoded objects, summed over the four numbers.

    Source: YOLACT (arXiv:1904.02689), paragraph "Losses", after SSD (arXiv:1512.02325), equation 2;
    dbolya/yolact@902073d layers/modules/multibox_loss.py, `MultiBoxLoss.forward`.
    Differs: nothing.
    """
    wanted = encode(boxes, anchors_cxcywh)
    return weight * F.smooth_l1_loss(regressions, wanted, reduction="sum") / normaliser


BOX_LOSSES: Mapping[str, BoxLoss] = {"smooth_l1": smooth_l1}
