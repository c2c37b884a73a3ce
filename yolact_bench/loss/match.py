"""Which anchor is responsible for which object: the slot MATCHERS."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.loss.claims import NO_CLAIM, claims, claims_of_batch, rank_anchors
from yolact_bench.loss.overlaps import Overlaps, overlaps_of, overlaps_of_batch
from yolact_bench.loss.padded import pad_objects
from yolact_bench.loss.protocols import Match, Matcher
from yolact_bench.ranges import Fraction
from yolact_bench.shapes import Target, Targets
from yolact_bench.slots import with_facts

IGNORED = -1
BACKGROUND = 0


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
    iou, inside = overlaps_of_batch(objects.boxes, objects.is_crowd, corners)
    overlap, chosen = iou.max(dim=1)
    few = min(iou.shape[1:])
    best = rank_anchors(iou, few).masked_fill(objects.is_crowd[..., None], NO_CLAIM)
    overlap = overlap.masked_fill(objects.is_crowd.gather(1, chosen), -1.0)
    seen = Overlaps(overlap=overlap, chosen=chosen, inside=inside, best=best)
    return _label(seen, claims_of_batch(seen.best), objects.labels, limits)


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
    seen = overlaps_of(anchors_cxcywh, target)
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


def _label(
    seen: Overlaps,
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


MATCHERS: Mapping[str, Matcher] = {"ssd": ssd_match}
