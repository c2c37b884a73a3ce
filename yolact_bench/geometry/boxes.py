"""Boxes: overlap, the two ways to write them, and how the network codes them."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

# Divisors of the regression targets of centre and size. Every SSD descendant has them.
# Source: dbolya/yolact@902073d layers/box_utils.py, `decode`; before it weiliu89/caffe, branch ssd,
# src/caffe/util/bbox_util.cpp, `DecodeBBox` (arXiv:1512.02325).
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def box_area(boxes: Float[Tensor, "*batch M 4"]) -> Float[Tensor, "*batch M"]:
    """Return width times height."""
    size = boxes[..., 2:] - boxes[..., :2]
    return size[..., 0] * size[..., 1]


def intersection_area(
    a: Float[Tensor, "*batch M 4"], b: Float[Tensor, "*batch N 4"]
) -> Float[Tensor, "*batch M N"]:
    """Return the area that each box of `a` shares with each box of `b`."""
    return _shared_area(*_by_coordinate(a, b))


def box_iou(
    a: Float[Tensor, "*batch M 4"], b: Float[Tensor, "*batch N 4"]
) -> Float[Tensor, "*batch M N"]:
    """Return intersection over union of each box of `a` with each box of `b`.

    Two boxes without area have IoU 0, not 0/0.

    Source: dbolya/yolact@902073d layers/box_utils.py, `jaccard`.
    """
    shared = intersection_area(a, b)
    return _over_union(shared, box_area(a)[..., :, None] + box_area(b)[..., None, :])


def iou_of_pairs(
    boxes: Float[Tensor, "K 4"], a: Int64[Tensor, " P"], b: Int64[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Return what `box_iou` of the boxes has in row a and column b, to the bit."""
    corners, area = boxes.T.contiguous(), box_area(boxes)
    shared = _shared_area(corners.index_select(1, a), corners.index_select(1, b))
    return _over_union(shared, area.index_select(0, a) + area.index_select(0, b))


def box_diou(
    a: Float[Tensor, "*batch M 4"], b: Float[Tensor, "*batch N 4"]
) -> Float[Tensor, "*batch M N"]:
    """Return IoU minus the squared centre distance over the squared diagonal of the hull.

    Lies in (-1, 1]. Unlike IoU it changes when one axis is stretched: here distances are
    those on the network's square input.

    Source: Distance-IoU (arXiv:1911.08287), equation 7.
    """
    first, second = _by_coordinate(a, b)
    centre_a = (first[:2] + first[2:]) / 2
    centre_b = (second[:2] + second[2:]) / 2
    distance = (centre_a - centre_b).square().sum(0)  # [M, N]
    low = torch.minimum(first[:2], second[:2])
    high = torch.maximum(first[2:], second[2:])
    diagonal = (high - low).square().sum(0)
    return box_iou(a, b) - distance / diagonal.clamp(min=torch.finfo(diagonal.dtype).tiny)


def crowd_overlap(
    anchors: Float[Tensor, "A 4"], crowds: Float[Tensor, "M 4"]
) -> Float[Tensor, "A M"]:
    """Return the part of each anchor's own area that lies inside each crowd region.

    Source: dbolya/yolact@902073d layers/box_utils.py, `jaccard` with `iscrowd`.
    """
    area = box_area(anchors).clamp(min=torch.finfo(anchors.dtype).tiny)
    return intersection_area(anchors, crowds) / area[:, None]


def overlaps_a_better(
    boxes: Float[Tensor, "*batch M 4"], max_iou: float
) -> Bool[Tensor, "*batch M"]:
    """Return which boxes, sorted best first, have IoU above `max_iou` with an earlier one.

    Source: YOLACT (arXiv:1904.02689), section 4 "Fast NMS".
    """
    conflicts = (box_iou(boxes, boxes) > max_iou).triu(diagonal=1)
    # Counted, which a CPU does faster than `any` down the rows.
    return conflicts.sum(-2, dtype=torch.int32) > 0


def to_cxcywh(boxes: Float[Tensor, "*batch M 4"]) -> Float[Tensor, "*batch M 4"]:
    """Return boxes given as corners as centre and size."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def encode(
    boxes: Float[Tensor, "*batch M 4"], anchors_cxcywh: Float[Tensor, "*batch M 4"]
) -> Float[Tensor, "*batch M 4"]:
    """Return the regression that makes each anchor its box. `decode` is the inverse.

    Source: dbolya/yolact@902073d layers/box_utils.py, `encode`.
    """
    boxes, anchors = boxes.float(), anchors_cxcywh.float()
    box, anchor_size = to_cxcywh(boxes), anchors[..., 2:]
    centre = (box[..., :2] - anchors[..., :2]) / (CENTRE_VARIANCE * anchor_size)
    size = (box[..., 2:] / anchor_size).log() / SIZE_VARIANCE
    return torch.cat([centre, size], -1)


def decode(
    regressions: Float[Tensor, "*batch A 4"], anchors_cxcywh: Float[Tensor, "A 4"]
) -> Float[Tensor, "*batch A 4"]:
    """Return the boxes, corners not clipped, that the network's regressions mean.

    In float32 whatever the network ran in: half precision moves corners by pixels. The far
    corner is the near one plus the size, as in the reference, so that both truncate to the
    same pixels.

    Source: dbolya/yolact@902073d layers/box_utils.py, `decode`.
    """
    regressions, anchors = regressions.float(), anchors_cxcywh.float()
    anchor_size = anchors[..., 2:]
    centre = anchors[..., :2] + regressions[..., :2] * CENTRE_VARIANCE * anchor_size
    size = anchor_size * (regressions[..., 2:] * SIZE_VARIANCE).exp()
    near = centre - size / 2
    return torch.cat([near, near + size], -1)


def to_pixels(
    boxes: Float[Tensor, "*batch M 4"], height: int, width: int
) -> Float[Tensor, "*batch M 4"]:
    """Return boxes in whole pixels of an image: corners ordered, clamped, then truncated.

    A box outside the image comes back without area.

    Source: dbolya/yolact@902073d layers/output_utils.py, `postprocess`. There, a box outside
    the image gets a negative width; both are left out of results.
    """
    return pixels_of(boxes, boxes.new_tensor([width, height]))


def pixels_of(
    boxes: Float[Tensor, "*batch M 4"], sizes: Float[Tensor, "*images 2"]
) -> Float[Tensor, "*batch M 4"]:
    """Return what `to_pixels` does, where the device knows each image's width and height."""
    size = sizes[..., None, :]
    a, b = boxes[..., :2] * size, boxes[..., 2:] * size
    low = torch.minimum(a, b).clamp(min=0).minimum(size)
    high = torch.maximum(a, b).clamp(min=0).minimum(size)
    return torch.cat([low, high], -1).trunc()


def _shared_area(
    first: Float[Tensor, "4 *#pairs"], second: Float[Tensor, "4 *#pairs"]
) -> Float[Tensor, "*pairs"]:
    top_left = torch.maximum(first[:2], second[:2])  # [2, *pairs]
    bottom_right = torch.minimum(first[2:], second[2:])
    shared = bottom_right.sub_(top_left).clamp_(min=0)
    return shared[0] * shared[1]


def _over_union(
    shared: Float[Tensor, "*pairs"], both: Float[Tensor, "*pairs"]
) -> Float[Tensor, "*pairs"]:
    """The shared area over the union; `both`, the sum of the two areas, is written over."""
    union = both.sub_(shared)
    return shared / union.clamp_(min=torch.finfo(union.dtype).tiny)


def _by_coordinate(
    a: Float[Tensor, "*batch M 4"], b: Float[Tensor, "*batch N 4"]
) -> tuple[Float[Tensor, "4 *batch M 1"], Float[Tensor, "4 *batch 1 N"]]:
    """Return both with the four coordinates first, where a CPU can take eight pairs at a time."""
    first = a.movedim(-1, 0).contiguous()
    second = first if b is a else b.movedim(-1, 0).contiguous()
    return first[..., :, None], second[..., None, :]
