"""Sequential NMS, the traditional greedy suppression, one class after the other."""

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import batched_nms

from yolact_bench.detect.candidates import best_first
from yolact_bench.shapes import Kept


def sequential_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: float = 0.05,
    max_iou: float = 0.5,
    max_detections: int = 100,
    grid_px: int | None = 550,
) -> Kept:
    """Keep a box unless a box of its class that is kept overlaps it too much.

    The reference measures boxes in pixels of its input and counts a pixel at either end:
    sides are x2 − x1 + 1, and an IoU of exactly `max_iou` already suppresses. `grid_px` is the
    side of that grid, in a run its image_size unless it says otherwise; None measures the boxes
    as they are, and suppresses only above `max_iou`.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `traditional_nms`, and
    utils/cython_nms.pyx; here torchvision does the suppression.
    """
    anchor, label = (scores > min_score).nonzero(as_tuple=True)
    score = scores[anchor, label]
    # float64: batched_nms moves classes apart by adding to the corners, which costs float32 the
    # digits that decide. It also assumes corners not below zero.
    corners = boxes[anchor].double()
    if grid_px is not None:
        corners = corners * grid_px
        corners[:, 2:] += 1
        # The largest float32 below max_iou: "above" it is "at or above" max_iou.
        max_iou = float(np.nextafter(np.float32(max_iou), np.float32(0)))
    if len(corners):
        corners = corners - corners.min()
    keep = batched_nms(corners, score.double(), label, max_iou).sort().values
    return best_first(anchor[keep], label[keep], score[keep], max_detections)
