"""Matching and hard-negative mining as the reference has them, written out plainly."""

import torch
import torch.nn.functional as F
from torch import Tensor


def plain_match(
    anchors_cxcywh: Tensor, boxes: Tensor, labels: Tensor, *, high: float = 0.5, low: float = 0.4
) -> tuple[Tensor, Tensor]:
    """Return each anchor's label and object; a search over the whole table for each object.

    Source: dbolya/yolact@902073d layers/box_utils.py, `match`, for images without crowds.
    """
    half = anchors_cxcywh[:, 2:] / 2
    corners = torch.cat([anchors_cxcywh[:, :2] - half, anchors_cxcywh[:, :2] + half], dim=1)
    overlap = _plain_iou(boxes, corners)  # [N, A]
    best, chosen = overlap.max(dim=0)
    for _ in range(len(boxes)):
        most, where = overlap.max(dim=1)
        row = int(most.argmax())
        anchor = int(where[row])
        overlap[:, anchor] = -1
        overlap[row] = -1
        best[anchor], chosen[anchor] = 2, row
    matched = labels[chosen] + 1
    matched[best < high] = -1
    matched[best < low] = 0
    return matched, chosen


def _plain_iou(a: Tensor, b: Tensor) -> Tensor:
    shape = (len(a), len(b), 2)
    near = torch.max(a[:, None, :2].expand(shape), b[None, :, :2].expand(shape))
    far = torch.min(a[:, None, 2:].expand(shape), b[None, :, 2:].expand(shape))
    shared = (far - near).clamp(min=0).prod(dim=2)
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    return shared / (area_a[:, None] + area_b[None] - shared)


def plain_ohem(scores: Tensor, labels: Tensor, normaliser: Tensor) -> Tensor:
    """Return the class loss; ranks by sorting twice.

    Source: dbolya/yolact@902073d layers/modules/multibox_loss.py, `ohem_conf_loss`.
    """
    rows = scores.view(-1, scores.shape[-1])
    largest = rows.max()
    hardness = (rows - largest).exp().sum(dim=1).log() + largest - rows[:, 0]
    hardness = hardness.view(len(scores), -1)
    positive = labels > 0
    hardness[positive] = 0
    hardness[labels < 0] = 0
    order = hardness.sort(dim=1, descending=True).indices
    rank = order.sort(dim=1).indices
    wanted = (3 * positive.sum(dim=1, keepdim=True)).clamp(max=labels.shape[1] - 1)
    negative = (rank < wanted) & (labels == 0)
    chosen = positive | negative
    return F.cross_entropy(scores[chosen], labels[chosen], reduction="sum") / normaliser
