"""NMS in fixed sizes: the best pairs of anchor and class, in shapes that no value decides.

Nothing here waits for a device, and no shape depends on what an image shows, so that a whole
detector fits into one captured graph. Where that cannot decide, the flag `exact` is false.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int32, Int64, Shaped
from torch import Tensor

from yolact_bench.shapes import Selection

# How many anchors compete by default.
ANCHORS = 1024
# The score of a place that holds no pair; probabilities are never below 0.
_NONE = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSelection:
    """What an NMS kept, best first and always as many rows: those of score 0 are empty."""

    anchor: Int64[Tensor, "*batch N"]
    label: Int64[Tensor, "*batch N"]
    score: Float[Tensor, "*batch N"]
    exact: Bool[Tensor, "*batch"]  # the rows that are not empty are all that the NMS keeps

    def selection(self) -> Selection:
        """Return the rows of one image that are not empty; the host waits for the device."""
        some = self.score > 0
        return Selection(anchor=self.anchor[some], label=self.label[some], score=self.score[some])


@runtime_checkable
class FixedNms(Protocol):
    """Choose detections as the `Nms` of the same name, with its options, in fixed sizes.

    Where `exact` holds, what it returns is what the other returns. All images of a batch at once.
    """

    def __call__(
        self, boxes: Float[Tensor, "*batch A 4"], scores: Float[Tensor, "*batch A C"]
    ) -> FixedSelection:
        """Return the kept boxes, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPairs:
    """The best pairs of anchor and class, best first; the last may be empty, their score −1."""

    anchor: Int64[Tensor, "*batch K"]
    label: Int64[Tensor, "*batch K"]
    score: Float[Tensor, "*batch K"]
    # No pair above it is left out; −1: none at all is.
    cut: Float[Tensor, "*batch 1"]


def best_pairs(
    scores: Float[Tensor, "*batch A C"], *, min_score: float, anchors: int = ANCHORS, pairs: int
) -> FixedPairs:
    """Return the best pairs among the best anchors, of which each is in every class.

    Anchors compete whose best class is above `min_score`. Equal scores are in order of class first.
    """
    anchor, chosen, cut = _rows(scores, min_score, anchors)
    num_anchors = scores.shape[-2]
    return _best_of(chosen, anchor, cut, pairs, lambda anchor, label: label * num_anchors + anchor)


def best_pairs_above(
    scores: Float[Tensor, "*batch A C"], *, min_score: float, anchors: int = ANCHORS, pairs: int
) -> FixedPairs:
    """Return the best pairs above `min_score`; equal scores are in order of anchor first."""
    anchor, chosen, cut = _rows(scores, min_score, anchors)
    chosen, classes = _above(chosen, min_score), scores.shape[-1]
    return _best_of(chosen, anchor, cut, pairs, lambda anchor, label: anchor * classes + label)


def _rows(scores: Tensor, min_score: float, anchors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best anchors, their scores of all classes, and the best that is left out."""
    anchor, value, cut = _best(_above(scores.amax(-1), min_score), anchors)
    chosen = scores.gather(-2, anchor[..., None].expand(*anchor.shape, scores.shape[-1]))
    return anchor, torch.where(value[..., None] >= 0, chosen, _NONE), cut


def _best_of(
    chosen: Tensor,
    anchor: Tensor,
    cut: Tensor,
    pairs: int,
    rank: Callable[[Tensor, Tensor], Tensor],
) -> FixedPairs:
    """Return the best of the scores of these anchors; `rank` orders equal ones."""
    classes = chosen.shape[-1]
    place, _, missed = _best(chosen.flatten(-2), pairs)  # [*batch, K]
    anchor, label = anchor.gather(-1, place // classes), place % classes
    order = rank(anchor, label).argsort(-1)
    score = chosen.flatten(-2).gather(-1, place.gather(-1, order))
    ranked = score.sort(dim=-1, descending=True, stable=True)
    order = order.gather(-1, ranked.indices)
    return FixedPairs(
        anchor=anchor.gather(-1, order),
        label=label.gather(-1, order),
        score=ranked.values,
        cut=torch.maximum(cut, missed),
    )


def best_anchors(
    scores: Float[Tensor, "*batch A C"], *, min_score: float, anchors: int
) -> FixedPairs:
    """Return the best anchors, each as its best class; equal scores in order of anchor."""
    place, _, cut = _best(_above(scores.amax(-1), min_score), anchors)
    anchor = place.sort(-1).values
    rows = anchor[..., None].expand(*anchor.shape, scores.shape[-1])
    value, label = scores.gather(-2, rows).max(-1)
    ranked = _above(value, min_score).sort(dim=-1, descending=True, stable=True)
    return FixedPairs(
        anchor=anchor.gather(-1, ranked.indices),
        label=label.gather(-1, ranked.indices),
        score=ranked.values,
        cut=cut,
    )


def boxes_of(boxes: Float[Tensor, "*batch A 4"], pairs: FixedPairs) -> Float[Tensor, "*batch K 4"]:
    """Return the box of each pair."""
    return boxes.gather(-2, pairs.anchor[..., None].expand(*pairs.anchor.shape, 4))


def betters_of(pairs: FixedPairs) -> Bool[Tensor, "*batch K K"]:
    """Return which pair, by row, comes before which other of its class, by column."""
    return (pairs.label[..., :, None] == pairs.label[..., None, :]).triu(diagonal=1)


def num_marked(marked: Bool[Tensor, "*batch K K"]) -> Int32[Tensor, "*batch K"]:
    """Return how many of each column are marked."""
    # Counted, which a CPU does faster than `any` down the rows.
    return marked.sum(-2, dtype=torch.int32)


def first_rows(
    pairs: FixedPairs,
    keep: Bool[Tensor, "*batch K"],
    count: int,
    settled: Bool[Tensor, "*batch"],
) -> FixedSelection:
    """Return the first `count` pairs that are kept, as far as none left out could come before.

    Exact where `count` rows are filled, or where `settled` says that no others could follow: then
    no pair of score 0 may be among them, since it looks like an empty row.
    """
    none = keep & (pairs.score == 0)
    keep = keep & (pairs.score > pairs.cut.clamp(min=0))
    rank = keep.cumsum(-1)
    pair = torch.arange(keep.shape[-1], device=keep.device).expand_as(rank)
    row = torch.where(keep & (rank <= count), rank - 1, count)  # the rest in one row behind
    source = row.new_zeros(*row.shape[:-1], count + 1).scatter(-1, row, pair)[..., :count]
    num_kept = keep.sum(-1)
    filled = torch.arange(count, device=keep.device) < num_kept[..., None]  # [*batch, count]
    return FixedSelection(
        anchor=_where(filled, pairs.anchor, source),
        label=_where(filled, pairs.label, source),
        score=_where(filled, pairs.score, source),
        exact=(num_kept >= count) | (settled & ~none.any(-1)),
    )


def no_pair_left_out(pairs: FixedPairs) -> Bool[Tensor, "*batch"]:
    """Return whether every pair that competes is among `pairs`."""
    return pairs.cut[..., 0] < 0


def _where(
    filled: Bool[Tensor, "*batch N"],
    values: Shaped[Tensor, "*batch K"],
    source: Int64[Tensor, "*batch N"],
) -> Shaped[Tensor, "*batch N"]:
    if not values.shape[-1]:
        return values.new_zeros(filled.shape)
    return torch.where(filled, values.gather(-1, source), 0)


def _above(scores: Float[Tensor, "*sizes"], floor: float) -> Float[Tensor, "*sizes"]:
    return torch.where(scores > floor, scores, _NONE)


def _best(
    values: Float[Tensor, "*batch M"], most: int
) -> tuple[Int64[Tensor, "*batch K"], Float[Tensor, "*batch K"], Float[Tensor, "*batch 1"]]:
    """Return places and values of the best, and the least value that may have been left out."""
    best = values.topk(min(most, values.shape[-1]), -1)
    if most >= values.shape[-1]:
        return best.indices, best.values, values.new_full((*values.shape[:-1], 1), _NONE)
    return best.indices, best.values, best.values[..., -1:]
