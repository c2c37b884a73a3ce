"""Post-processing as the paper's authors wrote it down: the arm that faster forms are held against.

Source: dbolya/yolact@902073d layers/functions/detection.py, `fast_nms`, layers/box_utils.py,
`jaccard`, and layers/output_utils.py, `postprocess`; in our words.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as rle
from torch import Tensor
from torchvision.ops import batched_nms


class PlainKept(NamedTuple):
    boxes: Tensor
    label: Tensor
    score: Tensor


def plain_fast_nms(boxes: Tensor, scores_by_class: Tensor) -> PlainKept:
    """Each class sorted and cut to 200, one matrix [C, 200, 200], the best 100 of all classes."""
    candidate = scores_by_class.max(dim=0)[0] > 0.05
    score, order = scores_by_class[:, candidate].sort(1, descending=True)
    score, order = score[:, :200].contiguous(), order[:, :200].contiguous()
    classes, count = order.shape
    ranked = boxes[candidate][order.view(-1)].view(classes, count, 4)
    overlap = jaccard(ranked, ranked).triu_(diagonal=1)
    keep = overlap.max(dim=1)[0] <= 0.5
    label = torch.arange(classes)[:, None].expand_as(keep)[keep]
    best, order = score[keep].sort(0, descending=True)
    return PlainKept(ranked[keep][order[:100]], label[order[:100]], best[:100])


def jaccard(a: Tensor, b: Tensor) -> Tensor:
    """[n, A, 4], [n, B, 4] → [n, A, B]."""
    shape = (len(a), a.shape[1], b.shape[1], 2)
    near = torch.max(a[:, :, None, :2].expand(shape), b[:, None, :, :2].expand(shape))
    far = torch.min(a[:, :, None, 2:].expand(shape), b[:, None, :, 2:].expand(shape))
    sides = torch.clamp(far - near, min=0)
    shared = sides[..., 0] * sides[..., 1]
    area_a = ((a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1]))[:, :, None].expand_as(shared)
    area_b = ((b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1]))[:, None, :].expand_as(shared)
    return shared / (area_a + area_b - shared)


def sure_pairs(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and labels of the pairs of anchor and class above 0.05."""
    anchor, label = (scores > 0.05).nonzero(as_tuple=True)
    return boxes[anchor], scores[anchor, label], label


def plain_batched_nms(boxes: Tensor, scores: Tensor) -> PlainKept:
    """torchvision's greedy suppression of the pairs above 0.05, the best 100."""
    return best_of_pairs(*sure_pairs(boxes, scores))


def best_of_pairs(boxes: Tensor, score: Tensor, label: Tensor) -> PlainKept:
    keep = batched_nms(boxes, score, label, 0.5)[:100]
    return PlainKept(boxes[keep], label[keep], score[keep])


def plain_run_lengths(soft_masks: Tensor, height: int, width: int) -> list[str]:
    """Every mask as floats of the image's size, thresholded, copied to columns, encoded."""
    size = (height, width)
    whole = F.interpolate(soft_masks[None], size, mode="bilinear", align_corners=False)[0]
    masks = (whole > 0.5).byte().numpy()
    return [rle.encode(np.asfortranarray(mask))["counts"].decode() for mask in masks]
