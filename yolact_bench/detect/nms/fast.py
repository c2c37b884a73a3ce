"""Fast NMS, the parallel suppression introduced with YOLACT."""

from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.candidates import kept_of_ranked, ranked_per_class
from yolact_bench.geometry.boxes import overlaps_a_better
from yolact_bench.shapes import Kept


def fast_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: float = 0.05,
    max_iou: float = 0.5,
    top_k: int = 200,
    max_detections: int = 100,
) -> Kept:
    """Keep a box unless a better box of its class overlaps it by more than `max_iou`.

    The better box need not survive itself. That is the whole difference from sequential
    NMS: it removes slightly too much, and in exchange one IoU matrix decides all boxes.
    `min_score` chooses anchors, not detections: scores below it do come out.

    Source: YOLACT (arXiv:1904.02689), section 4 "Fast NMS"; thresholds and order from
    dbolya/yolact@902073d layers/functions/detection.py, `fast_nms`.
    """
    score, anchor = ranked_per_class(scores, min_score, top_k)  # [C, k]
    keep = ~overlaps_a_better(boxes[anchor], max_iou)
    return kept_of_ranked(score, anchor, keep, max_detections)
