"""Which anchor is responsible for which object: the slot MATCHERS."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.geometry.boxes import box_area, crowd_overlap
from yolact_bench.loss.protocols import Match, Matcher
from yolact_bench.shapes import Target, reading_is_free
from yolact_bench.slots import Fraction

IGNORED = -1
BACKGROUND = 0

_CACHED_PAIRS = 2**17  # of an anchor and an object: 512 kB each time something is computed of them
_NUMBERS = 0xFFFFFFFF  # room for an anchor's number, in the lower half of a key
_NOBODY = -(1 << 56)  # the key of what may not be claimed: read as an overlap, it is negative


@torch.no_grad()
def ssd_match(
    anchors_cxcywh: Float32[Tensor, "A 4"],
    target: Target,
    *,
    positive_iou: Fraction = 0.5,
    negative_iou: Fraction = 0.4,
    crowd_iou: Fraction = 0.7,
) -> Match:
    """Match each anchor to the object it overlaps most, and no object goes without an anchor.

    Positive from `positive_iou` on, background below `negative_iou`, ignored between. The
    forced matches come first in rank: an anchor claimed by an object is positive whatever
    their overlap. Crowds are never matched; they only excuse anchors that lie in them by more
    than `crowd_iou` of the anchor's own area.

    Raises:
        SpecError: `negative_iou` is above `positive_iou`.

    Source: YOLACT (arXiv:1904.02689), paragraph "Losses", after SSD (arXiv:1512.02325), section
    2.2; dbolya/yolact@902073d layers/box_utils.py, `match`.
    Differs: an image without objects is all background (the reference fails there).
    """
    if negative_iou > positive_iou:
        raise SpecError(
            f"matcher.ssd: negative_iou {negative_iou} is above positive_iou {positive_iou}; "
            "write a negative_iou that is at most positive_iou"
        )
    labels = torch.full(
        (len(anchors_cxcywh),), BACKGROUND, dtype=torch.int64, device=anchors_cxcywh.device
    )
    truth = torch.zeros_like(labels)
    if len(target.labels) == 0:
        return Match(labels=labels, truth=truth)

    seen = _seen(anchors_cxcywh, target)
    overlap, truth = _with_claims(seen)
    # By where and not by boolean index, for which the host would wait for the device.
    labels = torch.where(overlap < positive_iou, IGNORED, target.labels[truth] + 1)
    labels = torch.where(overlap < negative_iou, BACKGROUND, labels)
    excused = (labels <= 0) & (seen.inside > crowd_iou)
    return Match(labels=torch.where(excused, IGNORED, labels), truth=truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What anchors and objects of an image have to do with one another."""

    overlap: Float[Tensor, " A"]  # with the object that the anchor overlaps most; -1: no object
    chosen: Int64[Tensor, " A"]  # that object
    inside: Float[Tensor, " A"]  # largest part of the anchor that is in one crowd
    best: Int64[Tensor, "N M"]  # `ranked` anchors of each object


def _seen(anchors_cxcywh: Float32[Tensor, "A 4"], target: Target) -> _Seen:
    """Compare all anchors with all objects; on a CPU in blocks that fit its cache."""
    num_anchors, num_objects = len(anchors_cxcywh), len(target.labels)
    crowd = target.is_crowd
    # A box beyond the image, without area, stands for a crowd: it overlaps nothing.
    boxes = target.boxes.masked_fill(crowd[:, None], 2.0)
    block = max(1, _CACHED_PAIRS // num_objects) if reading_is_free(crowd) else num_anchors
    # `to_corners`, a row for each coordinate, so that a CPU takes eight anchors at a time.
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
        best.append(ranked(iou, min(iou.shape), first=first))
    few = min(num_objects, num_anchors)
    return _Seen(
        overlap=overlap.masked_fill(crowd[chosen], -1.0),
        chosen=chosen,
        inside=_inside(corners.T, target),
        best=torch.cat(best, dim=1).topk(few, dim=1).values.masked_fill(crowd[:, None], _NOBODY),
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
    if not reading_is_free(target.is_crowd):
        everywhere = crowd_overlap(corners, target.boxes)
        return everywhere.masked_fill(~target.is_crowd, 0.0).amax(dim=1)
    crowds = target.boxes[target.is_crowd]
    if len(crowds) == 0:
        return corners.new_zeros(len(corners))
    return crowd_overlap(corners, crowds).amax(dim=1)


def _with_claims(seen: _Seen) -> tuple[Float[Tensor, " A"], Int64[Tensor, " A"]]:
    """Each anchor's overlap and object; a claimed anchor has the overlap 2, above any IoU."""
    anchor, claimant = claims(seen.best)
    # Where no object claims, a place beyond the last anchor is written to, which is cut off.
    anchor = torch.where(anchor < 0, len(seen.overlap), anchor)
    overlap = F.pad(seen.overlap, (0, 1)).index_fill(0, anchor, 2.0)
    chosen = F.pad(seen.chosen, (0, 1)).index_copy(0, anchor, claimant)
    return overlap[:-1], chosen[:-1]


def claims(best: Int64[Tensor, "N M"]) -> tuple[Int64[Tensor, " M"], Int64[Tensor, " M"]]:
    """Anchors and the objects that claim them: highest overlap first, each anchor once.

    Of M objects and anchors, whichever are fewer, each object names its M best by `ranked`. It
    can lose at most N - 1 anchors to others, so these suffice: the loop runs over a small table
    and never waits for the device. Of equal overlaps the object with the lower row goes first
    and takes the anchor with the lower number, as a search over the whole table would find them.
    Where no object is left that may claim, the anchor is -1.
    """
    num_objects, size = best.shape
    overlap, anchor = _unpacked(best.flatten())
    row = torch.arange(num_objects, device=best.device).repeat_interleave(size)

    winners, values = [], []
    for _ in range(size):
        value, place = overlap.max(dim=0, keepdim=True)
        winners.append(place)
        values.append(value)
        overlap = overlap.masked_fill((anchor == anchor[place]) | (row == row[place]), -1.0)
    won = torch.cat(winners)
    return torch.where(torch.cat(values) < 0, -1, anchor[won]), row[won]


def ranked(iou: Float[Tensor, "N A"], size: int, *, first: int = 0) -> Int64[Tensor, "N M"]:
    """The `size` best anchors of each object, numbered from `first`; lower ones before equals.

    `topk` leaves the order of equal values open. Positive floats sort like their bit patterns,
    so overlap and anchor number fit in one integer without ties.
    """
    low = _NUMBERS - first
    key = iou.float().contiguous().view(torch.int32).long()
    key <<= 32  # in place: the table has a million entries, and fresh memory costs more than this
    key |= torch.arange(low, low - iou.shape[1], -1, device=iou.device)
    return key.topk(size, dim=1).values


def _unpacked(key: Int64[Tensor, " K"]) -> tuple[Float32[Tensor, " K"], Int64[Tensor, " K"]]:
    return (key >> 32).int().view(torch.float32), _NUMBERS - (key & _NUMBERS)


MATCHERS: Mapping[str, Matcher] = {"ssd": ssd_match}
