"""Cluster-NMS: the result of greedy suppression from repeated matrix operations."""

from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.candidates import greedy_survivors, rank_per_class, select_ranked
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.ranges import Boxes, Fraction
from yolact_bench.shapes import Selection


def cluster_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
) -> Selection:
    """Keep a box unless a kept box of its class overlaps it by more than `max_iou`.

    Differs from Fast NMS only in that a suppressed box no longer suppresses, and from
    sequential NMS in what competes: every candidate in every class, cut to `top_k`, as in Fast.

    Source: Cluster-NMS (arXiv:2005.03572), section 3.3.
    Differs: candidates are those of Fast NMS.
    """
    score, anchor = rank_per_class(scores, min_score, top_k)  # [C, K]
    candidates = boxes[anchor]
    keep = greedy_survivors(box_iou(candidates, candidates) > max_iou)
    return select_ranked(score, anchor, keep, max_detections)
