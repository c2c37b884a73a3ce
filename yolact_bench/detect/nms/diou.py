"""DIoU-NMS: greedy suppression that spares boxes with distant centres."""

from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from yolact_bench.detect.candidates import greedy_survivors, rank_per_class, select_ranked
from yolact_bench.geometry.boxes import box_diou
from yolact_bench.ranges import Boxes, Fraction
from yolact_bench.shapes import Selection


def diou_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    max_diou: Annotated[float, Field(ge=-1, le=1)] = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
) -> Selection:
    """Keep a box unless a kept box of its class has DIoU above `max_diou` with it.

    DIoU is never above IoU, so at the same threshold this keeps what IoU keeps and more: two
    boxes with apart centres are more likely two objects. Candidates are those of Fast NMS.

    Source: Distance-IoU (arXiv:1911.08287), section "Non-Maximum Suppression using DIoU".
    Differs: candidates are those of Fast NMS, and a DIoU of exactly `max_diou` stays.
    """
    score, anchor = rank_per_class(scores, min_score, top_k)  # [C, K]
    candidates = boxes[anchor]
    keep = greedy_survivors(box_diou(candidates, candidates) > max_diou)
    return select_ranked(score, anchor, keep, max_detections)
