"""What a recorded detector leaves on the device, and the detections of one image in it."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from yolact_bench.detect.graph.fixed import FixedFound
from yolact_bench.detect.pipeline import Found
from yolact_bench.geometry.boxes import to_pixels
from yolact_bench.shapes import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a graph leaves on the device, in memory that its next replay overwrites."""

    predictions: Predictions
    found: FixedFound
    state: Int64[Tensor, "B 2"]  # how many rows are not empty; 1 where they are exact


def state_of(found: FixedFound) -> Int64[Tensor, "B 2"]:
    """Return what the host must know of each image, in one tensor: it then waits once."""
    return torch.stack([(found.scores > 0).sum(1), found.exact.long()], 1)


def taken_from(
    found: FixedFound, index: int, count: int, height: int, width: int, *, mask_threshold: float
) -> Found:
    """Return a copy of the first `count` detections in one image, which are all; nothing waits."""
    boxes = found.boxes[index, :count].clone()
    return Found(
        boxes=boxes,
        boxes_px=to_pixels(boxes, height, width),
        scores=found.scores[index, :count].clone(),
        mask_scores=found.mask_scores[index, :count].clone(),
        labels=found.labels[index, :count].clone(),
        soft_masks=found.soft_masks[index, :count].clone(),
        height=height,
        width=width,
        mask_threshold=mask_threshold,
    )
