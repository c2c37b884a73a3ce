"""The classification loss: the slot CLASS_LOSSES."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.loss.hardest import hardest_cross_entropy, hardest_fault, note_sorting
from yolact_bench.loss.protocols import ClassLoss
from yolact_bench.ranges import CountOrZero, Fraction, NotNegative
from yolact_bench.shapes import reading_is_free, widen
from yolact_bench.slots import with_facts

_LEFT_OUT = -100  # a label that cross_entropy skips
_CACHED_LOGITS = 2**18  # of 1 MB


@with_facts(takes_halves=True)
def ohem_cross_entropy(
    scores: Float[Tensor, "B A C1"],
    labels: Int64[Tensor, "B A"],
    normaliser: Float[Tensor, ""],
    *,
    weight: NotNegative = 1.0,
    negatives_per_positive: CountOrZero = 3,
) -> Float[Tensor, ""]:
    """Softmax cross-entropy over the positives and the hardest background anchors.

    Source: SSD (arXiv:1512.02325), section 2.2 "Hard negative mining"; YOLACT (arXiv:1904.02689),
    paragraph "Losses"; dbolya/yolact@902073d layers/modules/multibox_loss.py, `ohem_conf_loss`.
    Differs: as `mined_negatives`.
    """
    if reading_is_free(labels):
        scores = widen(scores)
        chosen = (labels > 0) | mined_negatives(scores, labels, negatives_per_positive)
        total = F.cross_entropy(scores[chosen], labels[chosen], reduction="sum")
    elif fault := hardest_fault(scores):
        note_sorting(fault)
        total = cross_entropy_by_sorting(widen(scores), labels, negatives_per_positive)
    else:
        total = hardest_cross_entropy(scores, labels, negatives_per_positive)
    return weight * total / normaliser


def cross_entropy_by_sorting(
    scores: Float[Tensor, "B A C1"], labels: Int64[Tensor, "B A"], negatives_per_positive: int
) -> Float[Tensor, ""]:
    """Return the sum over all anchors, of which those left out cost nothing.

    To learn how many are chosen takes the host longer than a device takes for all.
    """
    chosen = (labels > 0) | mined_negatives(scores, labels, negatives_per_positive)
    wanted = torch.where(chosen, labels, _LEFT_OUT).flatten()
    return F.cross_entropy(scores.flatten(0, 1), wanted, reduction="sum", ignore_index=_LEFT_OUT)


@torch.no_grad()
def mined_negatives(
    scores: Float[Tensor, "B A C1"],
    labels: Int64[Tensor, "B A"],
    negatives_per_positive: int,
) -> Bool[Tensor, "B A"]:
    """The background anchors that look least like background, a fixed number per positive.

    Counted per image, so an image without positives gives none. The rank is
    logsumexp(logits) - background logit: the cross-entropy an anchor has as background.

    Source: dbolya/yolact@902073d layers/modules/multibox_loss.py, `ohem_conf_loss`. Differs:
    logsumexp subtracts the maximum of its own row. The reference subtracts that of the whole
    batch, so that one extreme anchor makes all others rank alike.
    """
    hardness = _hardness(scores).masked_fill(labels != 0, -torch.inf)
    wanted = (labels > 0).sum(dim=1) * negatives_per_positive
    wanted = wanted.clamp(max=labels.shape[1] - 1)

    most = int(wanted.max()) if reading_is_free(labels) else labels.shape[1]
    hardest = hardness.topk(most, dim=1).indices  # [B, most], hardest first
    in_count = torch.arange(most, device=labels.device) < wanted[:, None]
    mined = torch.zeros_like(labels, dtype=torch.bool).scatter(1, hardest, in_count)
    # Where there are too few background anchors, the rank continues into the others.
    return mined & (labels == 0)


def _hardness(scores: Float[Tensor, "B A C1"]) -> Float[Tensor, "B A"]:
    """The cross-entropy of each anchor as background; on a CPU as much at a time as it caches."""
    if not reading_is_free(scores):
        return scores.logsumexp(dim=-1) - scores[..., 0]
    rows = scores.reshape(-1, scores.shape[-1])
    hardness = rows.new_empty(len(rows))
    step = max(1, _CACHED_LOGITS // rows.shape[1])
    room = rows.new_empty(step, rows.shape[1])
    for block, out in zip(torch.split(rows, step), torch.split(hardness, step), strict=True):
        log_p = torch.log_softmax(block, dim=-1, out=room[: len(block)])
        torch.neg(log_p[:, 0], out=out)
    return hardness.reshape(scores.shape[:-1])


def focal(
    scores: Float[Tensor, "B A C1"],
    labels: Int64[Tensor, "B A"],
    normaliser: Float[Tensor, ""],
    *,
    weight: NotNegative = 1.0,
    alpha: Fraction = 0.25,
    gamma: NotNegative = 2.0,
) -> Float[Tensor, ""]:
    """Softmax focal loss over every anchor that is not ignored; nothing is mined.

    Source: RetinaNet (arXiv:1708.02002), section 3, equation 5, alpha for the classes and 1 - alpha
    for background.
    Differs: the probability is the softmax over background and classes, not a sigmoid per class,
    because detection ranks by the softmax.
    """
    used = labels >= 0
    if reading_is_free(labels):
        scores, labels = scores[used], labels[used]  # [N, C1], [N]
    wanted = labels.clamp(min=0)[..., None]
    log_p = scores.log_softmax(dim=-1).gather(-1, wanted).squeeze(-1)
    balance = torch.where(labels > 0, alpha, 1.0 - alpha)
    costs = balance * (1.0 - log_p.exp()) ** gamma * log_p
    if not reading_is_free(labels):
        costs = costs.masked_fill(~used, 0.0)
    return weight * -costs.sum() / normaliser


CLASS_LOSSES: Mapping[str, ClassLoss] = {
    "ohem_cross_entropy": ohem_cross_entropy,
    "focal": focal,
}
