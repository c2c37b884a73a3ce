"""Which anchor is responsible for which object: the slot MATCHERS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.geometry.boxes import box_iou, crowd_overlap, to_corners
from yolact_bench.shapes import Target

IGNORED = -1
BACKGROUND = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What every anchor of one image is trained to be."""

    labels: Int64[Tensor, " A"]  # -1 ignored, 0 background, class + 1 positive
    truth: Int64[Tensor, " A"]  # row of the target; means something only where labels > 0


@runtime_checkable
class Matcher(Protocol):
    """Give every anchor of one image a label and an object."""

    def __call__(self, anchors_cxcywh: Float32[Tensor, "A 4"], target: Target) -> Match:
        """Return labels and objects."""
        ...


@torch.no_grad()
def ssd_match(
    anchors_cxcywh: Float32[Tensor, "A 4"],
    target: Target,
    *,
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    crowd_iou: float = 0.7,
) -> Match:
    """Match each anchor to the object it overlaps most, and no object goes without an anchor.

    Positive from `positive_iou` on, background below `negative_iou`, ignored between. The
    forced matches come first in rank: an anchor claimed by an object is positive whatever
    their overlap. Crowds are never matched; they only excuse anchors that lie in them by more
    than `crowd_iou` of the anchor's own area.

    Raises:
        SpecError: `negative_iou` is above `positive_iou`.
    Source: YOLACT (arXiv:1904.02689), paragraph "Losses", after SSD
    (arXiv:1512.02325), section 2.2; dbolya/yolact@902073d layers/box_utils.py, `match`.
    Differs: an image without objects is all background (the reference fails there).
    """
    if negative_iou > positive_iou:
        raise SpecError(
            f"matcher.ssd: negative_iou {negative_iou} is above positive_iou {positive_iou}; "
            "write a negative_iou that is at most positive_iou"
        )
    corners = to_corners(anchors_cxcywh)
    labels = torch.full((len(corners),), BACKGROUND, dtype=torch.int64, device=corners.device)
    truth = torch.zeros_like(labels)

    objects = (~target.is_crowd).nonzero().flatten()  # rows of the target
    if len(objects) > 0:
        overlap, chosen = _best_objects(box_iou(target.boxes[objects], corners))
        truth = objects[chosen]
        labels = target.labels[truth] + 1
        labels[overlap < positive_iou] = IGNORED
        labels[overlap < negative_iou] = BACKGROUND

    crowds = target.boxes[target.is_crowd]
    if len(crowds) > 0:
        inside = crowd_overlap(corners, crowds).amax(dim=1)  # [A]
        labels[(labels <= 0) & (inside > crowd_iou)] = IGNORED
    return Match(labels=labels, truth=truth)


def _best_objects(
    iou: Float[Tensor, "N A"],
) -> tuple[Float[Tensor, " A"], Int64[Tensor, " A"]]:
    """Each anchor's overlap and object; a claimed anchor has the overlap 2, above any IoU."""
    overlap, chosen = iou.max(dim=0)
    anchor, claimant = claims(iou)
    return overlap.index_fill(0, anchor, 2.0), chosen.index_copy(0, anchor, claimant)


def claims(iou: Float[Tensor, "N A"]) -> tuple[Int64[Tensor, " M"], Int64[Tensor, " M"]]:
    """Anchors and the objects that claim them: highest overlap first, each anchor once.

    An object can lose at most N - 1 anchors to others, so its N best suffice: the loop runs
    over an N by N table and never waits for the device. Of equal overlaps the object with the
    lower row goes first and takes the anchor with the lower number, as a search over the whole
    table would find them.
    """
    num_objects, num_anchors = iou.shape
    size = min(num_objects, num_anchors)
    anchor = _ranked(iou, size)  # [N, M], best first
    table = iou.gather(1, anchor).flatten()
    anchor = anchor.flatten()
    row = torch.arange(num_objects, device=iou.device).repeat_interleave(size)

    taken = []
    for _ in range(size):
        best = table.argmax(dim=0, keepdim=True)
        taken.append(best)
        table = table.masked_fill((anchor == anchor[best]) | (row == row[best]), -1.0)
    winners = torch.cat(taken)
    return anchor[winners], row[winners]


def _ranked(iou: Float[Tensor, "N A"], size: int) -> Int64[Tensor, "N M"]:
    """The `size` best anchors of each object, the lower number first among equals.

    `topk` leaves the order of equal values open. Positive floats sort like their bit patterns,
    so overlap and anchor number fit in one integer without ties.
    """
    last = iou.shape[1] - 1
    key = iou.float().contiguous().view(torch.int32).long()
    key <<= 32  # in place: the table has a million entries, and fresh memory costs more than this
    key |= torch.arange(last, -1, -1, device=iou.device)
    return last - (key.topk(size, dim=1).values & 0xFFFFFFFF)


MATCHERS: Mapping[str, Matcher] = {"ssd": ssd_match}
