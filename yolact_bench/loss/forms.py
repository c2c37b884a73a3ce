"""The forms of components that take a whole batch at once, and what stands in for them."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import torch
from jaxtyping import Float32
from torch import Tensor

from yolact_bench.loss.protocols import (
    BatchBoxLoss,
    BatchMaskIouLoss,
    BatchMaskLoss,
    BatchMatcher,
    BoxLoss,
    MaskIouLoss,
    MaskLoss,
    Match,
    Matcher,
)
from yolact_bench.shapes import Targets, needs_features, reading_is_free
from yolact_bench.slots import form_of

BatchForms: TypeAlias = tuple[BatchBoxLoss, BatchMaskLoss, BatchMaskIouLoss]
log = logging.getLogger(__name__)


def batch_forms(
    *, box_loss: BoxLoss, mask_loss: MaskLoss, mask_iou_loss: MaskIouLoss, rescore_net: object
) -> BatchForms | None:
    """Return the forms of all three; None, and a warning, where one of them has none."""
    given = {"box_loss": box_loss, "mask_loss": mask_loss, "mask_iou_loss": mask_iou_loss}
    if missing := slots_without_form(given, rescore_net):
        _warn_of_waiting(missing)
        return None
    box, mask, mask_iou = (form_of(component, "of_batch") for component in given.values())
    return box, mask, mask_iou


def slots_without_form(given: Mapping[str, object], rescore_net: object) -> str:
    """Return the slots, with commas, whose components take one image at a time."""
    missing = [slot for slot, component in given.items() if form_of(component, "of_batch") is None]
    return ", ".join([*missing, *(["rescore_net"] if needs_features(rescore_net) else [])])


@cache
def _warn_of_waiting(slots: str) -> None:
    """Warn once: the losses are right, but slow."""
    log.warning(
        "%s: the chosen component takes one image at a time, so the host waits for the device in "
        "every step; the losses are the same",
        slots,
    )


def match_batch(
    matcher: Matcher, anchors_cxcywh: Float32[Tensor, "A 4"], targets: Targets
) -> Match:
    """Return the match of a batch: by the matcher's own form on a device, else image by image.

    On a CPU an image at a time is faster: its table stays in the cache.
    """
    form: BatchMatcher | None = form_of(matcher, "of_batch")
    if form is not None and not reading_is_free(anchors_cxcywh):
        return form(anchors_cxcywh, targets)
    each = [matcher(anchors_cxcywh, target) for target in targets]
    return Match(
        labels=torch.stack([one.labels for one in each]),
        truth=torch.stack([one.truth for one in each]),
    )
