"""What the NMS variants share: which boxes compete, in what order, and how many leave."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.shapes import Selection

# Rows whose maximum is taken at once: a CPU needs longer for a row of 80 than for four together.
_BLOCK_ROWS = 4


def candidate_rows(scores: Float[Tensor, "A C"], min_score: float) -> Int64[Tensor, " K"]:
    """Return the anchors whose best class scores above `min_score`.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `Detect.detect`.
    """
    if scores.shape[1] == 0:
        return torch.empty(0, dtype=torch.int64, device=scores.device)
    if scores.device.type != "cpu" or not scores.is_contiguous():
        return (scores.amax(1) > min_score).nonzero()[:, 0]
    rows = rows_of_blocks(scores, min_score)
    return rows[scores.index_select(0, rows).amax(1) > min_score]


def rows_of_blocks(values: Float[Tensor, "A C"], floor: float) -> Int64[Tensor, " K"]:
    """Return, in order, all rows with a value above `floor` and some of their neighbours.

    Contiguous values only. A row with NaN is among them, as are its neighbours.
    """
    whole = len(values) - len(values) % _BLOCK_ROWS
    blocks = values[:whole].view(-1, _BLOCK_ROWS * values.shape[1])
    block = (~(blocks.amax(1) <= floor)).nonzero()  # [blocks, 1]
    rows = block * _BLOCK_ROWS + torch.arange(_BLOCK_ROWS, device=values.device)
    rest = torch.arange(whole, len(values), device=values.device)
    return torch.cat([rows.flatten(), rest])


def rank_per_class(
    scores: Float[Tensor, "A C"], min_score: float, top_k: int
) -> tuple[Float[Tensor, "C K"], Int64[Tensor, "C K"]]:
    """Return, for each class, the scores and anchors of its best `top_k` candidates.

    Every candidate competes in every class, so scores below `min_score` are among them: an
    anchor that is a sure cat is also an unlikely dog. Equal scores keep the anchors' order.
    """
    rows = candidate_rows(scores, min_score)
    ranked = scores[rows].T.sort(dim=1, descending=True, stable=True)
    return ranked.values[:, :top_k], rows[ranked.indices[:, :top_k]]


def select_ranked(
    score: Float[Tensor, "C K"],
    anchor: Int64[Tensor, "C K"],
    keep: Bool[Tensor, "C K"],
    max_detections: int | None,
) -> Selection:
    """Return what is marked in `keep`, all classes together, best first."""
    label = torch.arange(len(score), device=score.device)[:, None].expand_as(anchor)
    return best_first(anchor[keep], label[keep], score[keep], max_detections)


def best_first(
    anchor: Int64[Tensor, " K"],
    label: Int64[Tensor, " K"],
    score: Float[Tensor, " K"],
    max_detections: int | None,
) -> Selection:
    """Return the best `max_detections` in order of score, all of them where it is None."""
    order = score.argsort(descending=True, stable=True)[:max_detections]
    return Selection(anchor=anchor[order], label=label[order], score=score[order])


def greedy_survivors(conflicts: Bool[Tensor, "*batch M M"]) -> Bool[Tensor, "*batch M"]:
    """Return what greedy suppression keeps, given which boxes conflict, sorted best first.

    A box falls only to a box that itself survives. Repeating "fall to a survivor of the last
    round" settles box by box from the best down, so it ends after as many rounds as the
    longest chain of suppressions, usually a handful, and needs no loop over boxes.

    Source: Cluster-NMS (arXiv:2005.03572), section 3.3 and its proof that the fixed point is
    the result of sequential NMS.
    """
    conflicts = conflicts.triu(diagonal=1)
    keep = ~conflicts.any(-2)
    # Counted as a product: exact in float32, and faster than a logical reduction.
    weights = conflicts.float()
    # A chain is at most M long; one round more confirms the fixed point.
    for _ in range(conflicts.shape[-1]):
        settled = (keep.float()[..., None, :] @ weights)[..., 0, :] == 0
        if torch.equal(settled, keep):
            break
        keep = settled
    return keep
