"""Matrix NMS: Soft-NMS's decay from one matrix, without rounds."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.candidates import best_first
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.ranges import Boxes, Fraction, Positive
from yolact_bench.shapes import Selection
from yolact_bench.slots import with_facts


@with_facts(unused_with={"sigma": ("decay", ["linear"])})
def matrix_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    decay: Literal["gaussian", "linear"] = "gaussian",
    sigma: Positive = 0.5,
    min_decayed: Fraction = 0.05,
    top_k: Boxes = 500,
    max_detections: Boxes = 100,
) -> Selection:
    """Keep every box whose score, decayed by the better boxes of its class, is above a floor.

    A better box decays another by f(IoU), but the less the more it is overlapped itself: it
    may have been suppressed. f is exp(−IoU²/sigma) or, linear and without `sigma`, 1 − IoU;
    the strongest decay counts.

    Source: SOLOv2 (arXiv:2003.10152), section 3.3 "Matrix NMS"; WXinlong/SOLO@22d25be
    mmdet/core/post_processing/matrix_nms.py, with nms_pre, update_thr and max_per_img of
    configs/solov2/solov2_r50_fpn_8gpu_3x.py. Its sigma of 2 multiplies, as 1 / 0.5 does here.
    Differs: IoU is that of boxes, not of masks; `min_score` is YOLACT's 0.05, not 0.1.
    """
    anchor, label = (scores > min_score).nonzero(as_tuple=True)
    score = scores[anchor, label]
    order = score.argsort(descending=True, stable=True)[:top_k]
    anchor, label, score = anchor[order], label[order], score[order]
    if not len(score):
        return best_first(anchor, label, score, max_detections)
    iou = box_iou(boxes[anchor], boxes[anchor])
    iou = torch.where(label[:, None] == label, iou, iou.new_zeros(())).triu(diagonal=1)
    overlapped = iou.amax(0)[:, None]  # of each suppressor, by its own betters
    if decay == "gaussian":
        factor = ((overlapped.square() - iou.square()) / sigma).exp()
    else:
        factor = (1 - iou) / (1 - overlapped).clamp(min=1e-6)
    decayed = score * factor.amin(0).clamp(max=1)
    keep = decayed > min_decayed
    return best_first(anchor[keep], label[keep], decayed[keep], max_detections)
