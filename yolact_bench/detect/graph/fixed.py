"""Detection in fixed sizes: everything behind the network that one captured graph can hold.

The steps of `pipeline.find`, for all images of a batch and for as many detections as can ever
come out. Nothing waits for the device until `to_found` drops the rows that are empty.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.graph.pairs import FixedNms
from yolact_bench.detect.pipeline import Found
from yolact_bench.detect.rescore import RescoreNet, Rescorer
from yolact_bench.errors import SpecError
from yolact_bench.geometry.boxes import decode, to_pixels
from yolact_bench.geometry.masks import Assembly
from yolact_bench.shapes import Predictions, needs_features


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFound:
    """Detections of a batch, best first, always as many; those of score 0 are empty."""

    boxes: Float[Tensor, "B N 4"]  # corner fractions, not clipped
    scores: Float[Tensor, "B N"]
    mask_scores: Float[Tensor, "B N"]  # = scores without re-scoring
    labels: Int64[Tensor, "B N"]
    soft_masks: Float[Tensor, "B N h w"]  # of an empty row: of no meaning
    exact: Bool[Tensor, " B"]  # the detections are all that `pipeline.find` returns

    def __len__(self) -> int:
        return len(self.exact)


def find_fixed(
    predictions: Predictions,
    *,
    nms: FixedNms,
    assembly: Assembly,
    rescorer: Rescorer,
    rescore_net: RescoreNet | None,
    clock: Clock = no_clock,
) -> FixedFound:
    """Return the detections of all images of the batch, masks at prototype size.

    Where `exact` holds these are the detections of `pipeline.find`. On a CPU boxes, scores and
    soft masks have the same bits, and mask scores differ by the rounding of another batch size;
    on a GPU soft masks differ by that as well.

    Raises:
        SpecError: a re-scoring network that looks at feature maps: how many boxes belong to
            which map is known on the device only.

    Source: dbolya/yolact@902073d layers/functions/detection.py and layers/output_utils.py.
    """
    check_fixed_size(rescore_net)
    with clock("nms"):
        chosen = choose(predictions, nms)
    with clock("assembly"):
        soft_masks = assemble(chosen, assembly)
    with clock("rescore"):
        mask_scores = rescored(soft_masks, chosen.labels, chosen.scores, rescorer, rescore_net)
    return FixedFound(
        boxes=chosen.boxes,
        scores=chosen.scores,
        mask_scores=mask_scores,
        labels=chosen.labels,
        soft_masks=soft_masks,
        exact=chosen.exact,
    )


def check_fixed_size(rescore_net: object) -> None:
    """Check that a re-scoring network works in fixed sizes.

    Raises:
        SpecError: it looks at feature maps.
    """
    if rescore_net is not None and needs_features(rescore_net):
        raise SpecError(
            "rescore_net: a network that looks at feature maps does not work in fixed sizes; "
            "write runtime: {name: eager} or {name: compiled}, or rescore_net: {name: mask_iou}"
        )


class Chosen(NamedTuple):
    """What the NMS chose in each image, and what its masks are made of."""

    boxes: Float[Tensor, "B N 4"]
    scores: Float[Tensor, "B N"]
    labels: Int64[Tensor, "B N"]
    exact: Bool[Tensor, " B"]
    coefficients: Float[Tensor, "B N k"]
    prototypes: Float[Tensor, "B h w k"]


def choose(predictions: Predictions, nms: FixedNms) -> Chosen:
    """Return what the NMS keeps of the predictions: decode → NMS → rows."""
    boxes = decode(predictions.boxes, predictions.anchors)
    kept = nms(boxes, predictions.scores.float().softmax(-1)[..., 1:])
    return Chosen(
        boxes=_rows(boxes, kept.anchor),
        scores=kept.score,
        labels=kept.label,
        exact=kept.exact,
        coefficients=_rows(predictions.coefficients.float(), kept.anchor),
        prototypes=predictions.prototypes.float().contiguous(),
    )


def assemble(chosen: Chosen, assembly: Assembly) -> Float[Tensor, "B N h w"]:
    """Return the soft masks of what was chosen."""
    parts = zip(chosen.prototypes, chosen.coefficients, chosen.boxes, strict=True)
    return torch.stack([assembly(*each) for each in parts])


def rescored(
    soft_masks: Float[Tensor, "B N h w"],
    labels: Int64[Tensor, "B N"],
    scores: Float[Tensor, "B N"],
    rescorer: Rescorer,
    rescore_net: RescoreNet | None,
) -> Float[Tensor, "B N"]:
    """Return the score of each mask, those of all images at once."""
    flat = rescorer(soft_masks.flatten(0, 1), labels.flatten(), scores.flatten(), rescore_net)
    return flat.view_as(scores)


def to_found(
    fixed: FixedFound, index: int, height: int, width: int, mask_threshold: float
) -> Found:
    """Return the detections in one image of the batch; the host waits for the device.

    `mask_threshold` is that of the assembly.
    """
    some = fixed.scores[index] > 0
    boxes = fixed.boxes[index][some]
    return Found(
        boxes=boxes,
        boxes_px=to_pixels(boxes, height, width),
        scores=fixed.scores[index][some],
        mask_scores=fixed.mask_scores[index][some],
        labels=fixed.labels[index][some],
        soft_masks=fixed.soft_masks[index][some],
        height=height,
        width=width,
        mask_threshold=mask_threshold,
    )


def _rows(values: Float[Tensor, "B A k"], rows: Int64[Tensor, "B N"]) -> Float[Tensor, "B N k"]:
    return values.gather(1, rows[..., None].expand(*rows.shape, values.shape[-1]))
