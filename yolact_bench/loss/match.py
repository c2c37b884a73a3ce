"""Which anchor is responsible for which object: the slot MATCHERS."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.geometry.boxes import box_area, crowd_overlap
from yolact_bench.loss.claims import NO_CLAIM, claims, claims_of_batch, rank_anchors
from yolact_bench.loss.padded import pad_objects
from yolact_bench.loss.protocols import Match, Matcher
from yolact_bench.shapes import Target, Targets
from yolact_bench.slots import Fraction, with_facts

IGNORED = -1
BACKGROUND = 0

_CACHED_PAIRS = 2**17  # of an anchor and an object: 512 kB each time something is computed of them


@torch.no_grad()
def match_of_batch(
    anchors_cxcywh: Float32[Tensor, "A 4"],
    targets: Targets,
    *,
    positive_iou: Fraction = 0.5,
    negative_iou: Fraction = 0.4,
    crowd_iou: Fraction = 0.7,
) -> Match:
    """`ssd_match` of all images at once: what each of them is matched to does not change.

    The number of operations depends on the largest number of objects, not on that of images.
    Several tables of B × N × A floats live at once, 222 MB each for 32 images of up to 30 objects
    and the 57,744 anchors of YOLACT++.
    """
    limits = _Limits(positive_iou=positive_iou, negative_iou=negative_iou, crowd_iou=crowd_iou)
    objects = pad_objects(targets)
    centre, extent = torch.split(anchors_cxcywh.T.contiguous(), 2)
    corners = torch.cat([centre - extent / 2, centre + extent / 2])
    iou, inside = _overlaps(objects.boxes, objects.is_crowd, corners)
    overlap, chosen = iou.max(dim=1)
    few = min(iou.shape[1:])
    best = rank_anchors(iou, few).masked_fill(objects.is_crowd[..., None], NO_CLAIM)
    overlap = overlap.masked_fill(objects.is_crowd.gather(1, chosen), -1.0)
    seen = _Overlaps(overlap=overlap, chosen=chosen, inside=inside, best=best)
    return _label(seen, claims_of_batch(seen.best), objects.labels, limits)


def _overlaps(
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


@with_facts(of_batch=match_of_batch)
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
    limits = _Limits(positive_iou=positive_iou, negative_iou=negative_iou, crowd_iou=crowd_iou)
    labels = torch.full(
        (len(anchors_cxcywh),), BACKGROUND, dtype=torch.int64, device=anchors_cxcywh.device
    )
    if len(target.labels) == 0:
        return Match(labels=labels, truth=torch.zeros_like(labels))
    seen = _relate(anchors_cxcywh, target)
    return _label(seen, claims(seen.best), target.labels, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """The options of the matching."""

    positive_iou: float
    negative_iou: float
    crowd_iou: float

    def __post_init__(self) -> None:
        if self.negative_iou > self.positive_iou:
            raise SpecError(
                f"matcher.ssd: negative_iou {self.negative_iou} is above positive_iou "
                f"{self.positive_iou}; write a negative_iou that is at most positive_iou"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overlaps:
    """What anchors and objects of an image, or of each of a batch, have to do with one another."""

    overlap: Float[Tensor, "*batch A"]  # with the object overlapped most; -1: no object
    chosen: Int64[Tensor, "*batch A"]  # that object
    inside: Float[Tensor, "*batch A"]  # largest part of the anchor that is in one crowd
    best: Int64[Tensor, "*batch N M"]  # `rank_anchors` anchors of each object


def _label(
    seen: _Overlaps,
    claimed: tuple[Int64[Tensor, "*batch M"], Int64[Tensor, "*batch M"]],
    labels_of_objects: Int64[Tensor, "*batch N"],
    limits: _Limits,
) -> Match:
    """The label and the object of every anchor, once objects have claimed theirs."""
    anchor, claimant = claimed
    # Where no object claims, a place beyond the last anchor is written to, which is cut off.
    anchor = anchor.masked_fill(anchor < 0, seen.overlap.shape[-1])
    overlap = F.pad(seen.overlap, (0, 1)).scatter(-1, anchor, 2.0)[..., :-1]  # above any IoU
    truth = F.pad(seen.chosen, (0, 1)).scatter(-1, anchor, claimant)[..., :-1]
    # Not by boolean index, for which the host would wait for the device.
    labels = labels_of_objects.gather(-1, truth) + 1
    labels = labels.masked_fill(overlap < limits.positive_iou, IGNORED)
    labels = labels.masked_fill(overlap < limits.negative_iou, BACKGROUND)
    excused = (labels <= 0) & (seen.inside > limits.crowd_iou)
    return Match(labels=labels.masked_fill(excused, IGNORED), truth=truth)


def _relate(anchors_cxcywh: Float32[Tensor, "A 4"], target: Target) -> _Overlaps:
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
    return _Overlaps(
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


MATCHERS: Mapping[str, Matcher] = {"ssd": ssd_match}
