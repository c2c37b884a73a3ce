"""Soft-NMS: overlapping boxes lose score instead of being dropped."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.candidates import rank_per_class, select_ranked
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.ranges import Boxes, Fraction, Positive
from yolact_bench.shapes import Selection
from yolact_bench.slots import with_facts


@with_facts(unused_with={"sigma": ("decay", ["linear"]), "max_iou": ("decay", ["gaussian"])})
def soft_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    decay: Literal["gaussian", "linear"] = "gaussian",
    sigma: Positive = 0.5,
    max_iou: Fraction = 0.3,
    min_decayed: Fraction = 0.001,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
) -> Selection:
    """Keep every box whose score, lowered by each better box it overlaps, is above `min_decayed`.

    Gaussian: × exp(−IoU²/sigma). Linear: × (1 − IoU) where IoU is above `max_iou`. `sigma` has no
    effect on the linear decay, nor `max_iou` on the Gaussian. The order is decided anew after each
    choice, so the rounds are sequential; each serves all classes at once. Unlike Fast NMS a box
    competes only in the classes where it scores above `min_score`.

    Source: Soft-NMS (arXiv:1704.04503), section 3 and figure 2; sigma, the linear threshold and the
    last score threshold as in bharatsingh430/soft-nms@a7cc44e lib/nms/cpu_nms.pyx, `cpu_soft_nms`.
    Differs: IoU is without the +1 pixel rule, and each class is cut to its best `top_k` first.
    """
    score, anchor = rank_per_class(scores, min_score, top_k)  # [C, K]
    left = torch.where(score > min_score, score, score.new_zeros(()))
    final = torch.zeros_like(left)
    iou = box_iou(boxes[anchor], boxes[anchor])  # [C, K, K]
    factors = (-iou.square() / sigma).exp()
    if decay == "linear":
        factors = torch.where(iou > max_iou, 1 - iou, torch.ones_like(iou))
    classes = torch.arange(len(score), device=score.device)
    for _ in range(score.shape[1]):
        best, place = left.max(1)  # [C]
        if not bool((best > min_decayed).any()):
            break
        final[classes, place] = torch.maximum(final[classes, place], best)
        left = left * factors[classes, place]
        left[classes, place] = 0
    return select_ranked(final, anchor, final > min_decayed, max_detections)
