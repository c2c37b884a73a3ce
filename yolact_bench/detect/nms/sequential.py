"""Sequential NMS, the traditional greedy suppression, one class after the other."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torchvision.ops import batched_nms

from yolact_bench.detect.candidates import best_first
from yolact_bench.detect.graph.pairs import (
    ANCHORS,
    FixedSelection,
    best_pairs_above,
    betters_of,
    boxes_of,
    first_rows,
    no_pair_left_out,
)
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.ranges import Boxes, Count, Fraction
from yolact_bench.shapes import Selection
from yolact_bench.slots import with_facts


def fixed_sequential_nms(
    boxes: Float[Tensor, "*batch A 4"],
    scores: Float[Tensor, "*batch A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    max_detections: Boxes = 100,
    grid_px: Count | None = 550,
    anchors: int = ANCHORS,
    pairs: int = 1024,
    rounds: int = 16,
) -> FixedSelection:
    """Return `sequential_nms` in fixed sizes, by repeated matrix products.

    After as many rounds as the longest chain of suppressions the result is the greedy one;
    where `rounds` were not enough, `exact` says so. Overlaps are float64 as there, but without
    the shift that keeps classes apart: only an IoU within 1e-12 of the limit could differ.

    Source: Cluster-NMS (arXiv:2005.03572), section 3.3, of the rule of `sequential_nms`.
    """
    best = best_pairs_above(scores, min_score=min_score, anchors=anchors, pairs=pairs)
    corners = boxes_of(boxes, best).double()
    if grid_px is not None:
        corners, max_iou = _on_grid(corners, grid_px), _just_below(max_iou)
    conflicts = (box_iou(corners, corners) > max_iou) & betters_of(best)
    # Counted as a product: exact in float32, whatever the order of the sum.
    weights = (conflicts & (best.score >= 0)[..., :, None]).float()
    keep = last = torch.ones_like(best.score)
    for _ in range(rounds):
        last, keep = keep, ((keep[..., None, :] @ weights)[..., 0, :] == 0).float()
    kept = first_rows(best, keep > 0, max_detections, no_pair_left_out(best))
    return replace(kept, exact=kept.exact & (keep == last).all(-1))


@with_facts(fixed=fixed_sequential_nms, image_size_option="grid_px")
def sequential_nms(
    boxes: Float[Tensor, "A 4"],
    scores: Float[Tensor, "A C"],
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    max_detections: Boxes = 100,
    grid_px: Count | None = 550,
) -> Selection:
    """Keep a box unless a box of its class that is kept overlaps it too much.

    The reference measures boxes in pixels of its input and counts a pixel at either end:
    sides are x2 − x1 + 1, and an IoU of exactly `max_iou` already suppresses. `grid_px` is the
    side of that grid, in a run its image_size unless it says otherwise; None measures the boxes
    as they are, and suppresses only above `max_iou`.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `traditional_nms`, and
    utils/cython_nms.pyx.
    Differs: torchvision does the suppression, in float64.
    """
    anchor, label = (scores > min_score).nonzero(as_tuple=True)
    score = scores[anchor, label]
    # float64: batched_nms moves classes apart by adding to the corners, which costs float32 the
    # digits that decide. It also assumes corners not below zero.
    corners = boxes[anchor].double()
    if grid_px is not None:
        corners, max_iou = _on_grid(corners, grid_px), _just_below(max_iou)
    if len(corners):
        corners = corners - corners.min()
    keep = batched_nms(corners, score.double(), label, max_iou).sort().values
    return best_first(anchor[keep], label[keep], score[keep], max_detections)


def _on_grid(corners: Float64[Tensor, "*batch 4"], grid_px: int) -> Float64[Tensor, "*batch 4"]:
    return torch.cat([corners[..., :2] * grid_px, corners[..., 2:] * grid_px + 1], -1)


def _just_below(max_iou: float) -> float:
    # The largest float32 below max_iou: "above" it is "at or above" max_iou.
    return float(np.nextafter(np.float32(max_iou), np.float32(0)))
