"""Fast NMS over all classes at once."""

from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.candidates import best_first, candidate_rows
from yolact_bench.geometry.boxes import overlaps_a_better
from yolact_bench.shapes import Kept


def cross_class_fast_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: float = 0.05,
    max_iou: float = 0.5,
    top_k: int = 200,
    max_detections: int | None = None,
) -> Kept:
    """Keep a box, as its best class, unless any better box overlaps it by more than `max_iou`.

    One matrix instead of one a class. Up to `top_k` detections come out, since the reference
    does not cut this mode to 100.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `cc_fast_nms`.
    """
    rows = candidate_rows(scores, min_score)
    if not len(rows):
        return best_first(rows, rows, scores.new_empty(0), max_detections)
    score, label = scores[rows].max(1)
    order = score.argsort(descending=True, stable=True)[:top_k]
    keep = order[~overlaps_a_better(boxes[rows[order]], max_iou)]
    return best_first(rows[keep], label[keep], score[keep], max_detections)
