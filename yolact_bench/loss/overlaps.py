"""How anchors and objects overlap: of one image in blocks, of a batch at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from yolact_bench.geometry.boxes import box_area, crowd_overlap
from yolact_bench.loss.claims import NO_CLAIM, rank_anchors
from yolact_bench.shapes import Target

_CACHED_PAIRS = 2**17  # of an anchor and an object: 512 kB each time something is computed of them


def overlaps_of_batch(
    boxes: Float32[Tensor, "B N 4"],
    is_crowd: Bool[Tensor, "B N"],
    corners: Float32[Tensor, "4 A"],
) -> tuple[Float32[Tensor, "B N A"], Float32[Tensor, "B A"]]:
    """IoU of each object, 0 of a crowd, with each anchor; how much of an anchor a crowd holds.

    To the bit `box_iou` and `crowd_overlap`, which compute the shared area each for itself.
    """
    ours, theirs = boxes.movedim(-1, 0)[..., None], corners[:, None, None]
    low = torch.maximum(ours[:2], theirs[:2])
    sides = torch.minimum(ours[2:], theirs[2:]).sub_(low).clamp_(min=0)
    shared = torch.mul(sides[0], sides[1], out=low[0])
    area, crowd = box_area(corners.T), is_crowd[..., None]
    tiny = torch.finfo(area.dtype).tiny
    inside = torch.div(shared, area.clamp(min=tiny), out=sides[0]).masked_fill_(~crowd, 0.0)
    union = torch.add(box_area(boxes)[..., None], area, out=low[1]).sub_(shared)
    iou = shared.div_(union.clamp_(min=tiny)).masked_fill_(crowd, 0.0)
    return iou, inside.amax(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """What anchors and objects of an image, or of each of a batch, have to do with one another."""

    overlap: Float[Tensor, "*batch A"]  # with the object overlapped most; -1: no object
    chosen: Int64[Tensor, "*batch A"]  # that object
    inside: Float[Tensor, "*batch A"]  # largest part of the anchor that is in one crowd
    best: Int64[Tensor, "*batch N M"]  # `rank_anchors` anchors of each object


def overlaps_of(anchors_cxcywh: Float32[Tensor, "A 4"], target: Target) -> Overlaps:
    """Compare all anchors with all objects, in blocks that fit the cache of a CPU."""
    num_anchors, num_objects = len(anchors_cxcywh), len(target.labels)
    crowd = target.is_crowd
    # A box beyond the image, without area, stands for a crowd: it overlaps nothing.
    boxes = target.boxes.masked_fill(crowd[:, None], 2.0)
    block = max(1, _CACHED_PAIRS // num_objects)
    # Corners, a row for each coordinate, so that a CPU takes eight anchors at a time.
    centre, extent = torch.split(anchors_cxcywh.T.contiguous(), 2)
    corners = torch.cat([centre - extent / 2, centre + extent / 2])
    overlap = boxes.new_empty(num_anchors)
    chosen = torch.empty_like(overlap, dtype=torch.int64)
    workspace = boxes.new_empty(4, num_objects, block)
    best = []
    for first in range(0, num_anchors, block):
        part = slice(first, first + block)
        iou = _iou(boxes, corners[:, part], workspace)
        torch.max(iou, dim=0, out=(overlap[part], chosen[part]))
        best.append(rank_anchors(iou, min(iou.shape), first=first))
    few = min(num_objects, num_anchors)
    return Overlaps(
        overlap=overlap.masked_fill(crowd[chosen], -1.0),
        chosen=chosen,
        inside=_inside(corners.T, target),
        best=torch.cat(best, dim=1).topk(few, dim=1).values.masked_fill(crowd[:, None], NO_CLAIM),
    )


def _iou(
    boxes: Float32[Tensor, "N 4"],
    corners: Float32[Tensor, "4 a"],
    workspace: Float32[Tensor, "4 N A"],
) -> Float32[Tensor, "N a"]:
    """`box_iou` to the bit, in memory that is used again: fresh pages cost more than the sums."""
    room = workspace[..., : corners.shape[1]]
    ours, theirs = boxes.T[:, :, None], corners[:, None, :]
    low = torch.maximum(ours[:2], theirs[:2], out=room[:2])
    sides = torch.minimum(ours[2:], theirs[2:], out=room[2:]).sub_(low).clamp_(min=0)
    shared = torch.mul(sides[0], sides[1], out=room[0])
    union = torch.add(box_area(boxes)[:, None], box_area(corners.T), out=room[1]).sub_(shared)
    return shared.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def _inside(corners: Float32[Tensor, "A 4"], target: Target) -> Float32[Tensor, " A"]:
    """The largest part of each anchor that lies in one crowd; 0 without crowds."""
    crowds = target.boxes[target.is_crowd]
    if len(crowds) == 0:
        return corners.new_zeros(len(corners))
    return crowd_overlap(corners, crowds).amax(dim=1)
