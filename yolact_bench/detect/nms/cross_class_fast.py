"""Fast NMS over all classes at once."""

import torch
from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.candidates import best_first, candidate_rows
from yolact_bench.detect.graph.pairs import (
    FixedSelection,
    best_anchors,
    boxes_of,
    first_rows,
    no_pair_left_out,
)
from yolact_bench.geometry.boxes import overlaps_a_better
from yolact_bench.ranges import Boxes, Fraction
from yolact_bench.shapes import Selection
from yolact_bench.slots import with_facts


def fixed_cross_class_fast_nms(
    boxes: Float[Tensor, "*batch A 4"],
    scores: Float[Tensor, "*batch A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes | None = None,
    spare: int = 56,
) -> FixedSelection:
    """Return `cross_class_fast_nms` in fixed sizes, `top_k` rows or `max_detections`.

    `spare` anchors more than `top_k` are ordered, for which of equal scores come first.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `cc_fast_nms`.
    """
    best = best_anchors(scores, min_score=min_score, anchors=top_k + spare)
    competes = torch.arange(best.score.shape[-1], device=scores.device) < top_k
    keep = ~overlaps_a_better(boxes_of(boxes, best), max_iou) & competes
    settled = no_pair_left_out(best)
    if best.score.shape[-1] >= top_k:
        settled = settled | (best.score[..., top_k - 1] > best.cut[..., 0])
    return first_rows(best, keep, top_k if max_detections is None else max_detections, settled)


@with_facts(fixed=fixed_cross_class_fast_nms)
def cross_class_fast_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes | None = None,
) -> Selection:
    """Keep a box, as its best class, unless any better box overlaps it by more than `max_iou`.

    One matrix instead of one a class. Up to `top_k` detections come out, since the reference
    does not cut this mode to 100.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `cc_fast_nms`.
    Differs: `max_detections` is ours.
    """
    rows = candidate_rows(scores, min_score)
    if not len(rows):
        return best_first(rows, rows, scores.new_empty(0), max_detections)
    score, label = scores[rows].max(1)
    order = score.argsort(descending=True, stable=True)[:top_k]
    keep = order[~overlaps_a_better(boxes[rows[order]], max_iou)]
    return best_first(rows[keep], label[keep], score[keep], max_detections)
