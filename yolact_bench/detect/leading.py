"""The best pairs of anchor and class in one row: NMS of all classes at once, without padding."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.geometry.boxes import iou_of_pairs


class LeadingPairs(NamedTuple):
    """Pairs of candidate and class, best first; no pair that is left out comes before them."""

    row: Int64[Tensor, " K"]
    label: Int64[Tensor, " K"]
    score: Float[Tensor, " K"]
    complete: bool  # no pair is left out


def leading_pairs(scores: Float[Tensor, "R C"], most: int) -> LeadingPairs:
    """Return at most `most` of the best pairs, those that tie with one left out left out as well.

    Equal scores come in order of class, then of row, as where all classes are ranked on their
    own and then together.
    """
    rows, classes = scores.shape
    flat = scores.flatten()
    complete = flat.numel() <= most
    best = flat.topk(min(most, flat.numel()))
    index, score = best.indices, best.values
    if not complete:
        settled = score > score[-1]
        index = index[settled]
    row, label = index // max(classes, 1), index % max(classes, 1)
    by_class = (label * rows + row).argsort()
    index = index[by_class]
    index = index[flat[index].argsort(descending=True, stable=True)]
    return LeadingPairs(index // max(classes, 1), index % max(classes, 1), flat[index], complete)


def fast_survivors(
    boxes: Float[Tensor, "K 4"], label: Int64[Tensor, " K"], *, max_iou: float, top_k: int
) -> Bool[Tensor, " K"]:
    """Return which boxes, sorted best first, Fast NMS keeps in their class.

    Those among the first `top_k` of their class that no better box of it overlaps by more than
    `max_iou`. Overlaps are computed within classes only, one by one: of 500 pairs in 80 classes
    that is a hundredth of the whole matrix. The values are those of `box_iou`, bit for bit.
    """
    place = torch.arange(len(label), device=label.device)
    order = label.argsort(stable=True)
    label = label[order]
    first = torch.searchsorted(label, label)  # of the class
    rank = place - first
    competes = rank < top_k
    betters = torch.where(competes, rank, 0)  # how many boxes each is held against
    ends = betters.cumsum(0)
    worse = torch.repeat_interleave(place, betters)
    better = torch.arange(len(worse), device=label.device) - (ends - betters - first)[worse]
    keep = competes
    keep[worse[iou_of_pairs(boxes[order], better, worse) > max_iou]] = False
    return torch.empty_like(keep).scatter_(0, order, keep)
