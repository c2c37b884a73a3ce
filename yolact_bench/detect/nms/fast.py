"""Fast NMS, the parallel suppression introduced with YOLACT, in three forms of one result."""

from math import ceil
from typing import TypedDict

from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.detect.candidates import candidate_rows, rank_per_class, select_ranked
from yolact_bench.detect.graph.pairs import (
    ANCHORS,
    FixedSelection,
    best_pairs,
    betters_of,
    boxes_of,
    first_rows,
    no_pair_left_out,
    num_marked,
)
from yolact_bench.detect.kernels.choose_fast import choose_fast
from yolact_bench.detect.leading import fast_survivors, leading_pairs
from yolact_bench.geometry.boxes import box_iou, overlaps_a_better
from yolact_bench.ranges import Boxes, Fraction
from yolact_bench.shapes import Selection
from yolact_bench.slots import with_facts

# How many of the best pairs of anchor and class are looked at, at the first attempt and at most.
# Where not even these hold enough survivors, every class is ranked.
ATTEMPTS = (512, 8192)


class _Options(TypedDict):
    min_score: float
    max_iou: float
    top_k: int
    max_detections: int


def fixed_fast_nms(
    boxes: Float[Tensor, "*batch A 4"],
    scores: Float[Tensor, "*batch A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
    anchors: int = ANCHORS,
    pairs: int = 2048,
) -> FixedSelection:
    """Return `fast_nms` in fixed sizes, from one matrix over the best `pairs` of all classes.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `fast_nms`.
    """
    best = best_pairs(scores, min_score=min_score, anchors=anchors, pairs=pairs)
    candidates = boxes_of(boxes, best)
    better = betters_of(best)
    overlapped = (box_iou(candidates, candidates) > max_iou) & better
    keep = (num_marked(overlapped) == 0) & (num_marked(better) < top_k)
    return first_rows(best, keep, max_detections, no_pair_left_out(best))


@with_facts(fixed=fixed_fast_nms, kernels=choose_fast)
def fast_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
) -> Selection:
    """Keep a box unless a better box of its class overlaps it by more than `max_iou`.

    The better box need not survive itself. That is the whole difference from sequential
    NMS: it removes slightly too much, and in exchange one IoU matrix decides all boxes.
    `min_score` chooses anchors, not detections: scores below it do come out.

    A box falls to better ones only. So what survives among the best pairs of anchor and class
    survives among all, and once that is `max_detections` no other pair matters. The result is
    that of `fast_nms_per_class`, bit for bit.

    Source: YOLACT (arXiv:1904.02689), section 4 "Fast NMS"; thresholds and order from
    dbolya/yolact@902073d layers/functions/detection.py, `fast_nms`.
    Differs: nothing.
    """
    options = _Options(
        min_score=min_score, max_iou=max_iou, top_k=top_k, max_detections=max_detections
    )
    if scores.device.type == "cpu":
        rows = candidate_rows(scores, min_score)
        kept = _kept_of_leading(boxes, scores, rows, max_iou, top_k, max_detections)
    else:
        fixed = fixed_fast_nms(boxes, scores, **options)
        kept = fixed.selection() if bool(fixed.exact) else None
    return fast_nms_per_class(boxes, scores, **options) if kept is None else kept


def fast_nms_per_class(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
) -> Selection:
    """Return the same from one matrix a class, whatever the scene.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `fast_nms`.
    """
    score, anchor = rank_per_class(scores, min_score, top_k)  # [C, K]
    keep = ~overlaps_a_better(boxes[anchor], max_iou)
    return select_ranked(score, anchor, keep, max_detections)


def _kept_of_leading(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    rows: Int64[Tensor, " R"],
    max_iou: float,
    top_k: int,
    max_detections: int,
) -> Selection | None:
    """Return what is kept of the candidates in `rows`, None where too few survive to know."""
    candidates, probabilities = boxes[rows], scores[rows]
    most, last = ATTEMPTS
    while True:
        pairs = leading_pairs(probabilities, most)
        keep = fast_survivors(candidates[pairs.row], pairs.label, max_iou=max_iou, top_k=top_k)
        chosen = keep.nonzero()[:max_detections, 0]
        if pairs.complete or len(chosen) == max_detections:
            return Selection(
                anchor=rows[pairs.row[chosen]], label=pairs.label[chosen], score=pairs.score[chosen]
            )
        if most >= last:
            return None
        # As many more as the survivors so far suggest, and a quarter for worse ones to come.
        most *= max(2, ceil(1.25 * max_detections / max(len(chosen), 1)))
        most = min(most, last)
