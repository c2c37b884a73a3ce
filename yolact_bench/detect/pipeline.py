"""Detection in one image: decode → NMS → assemble → re-score → masks at image size.

All that follows the network starts from `Candidates`, whether they come from the network or from
a stored forward pass: a replay goes the same way as the whole detector, so it ends the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import signature
from math import log
from operator import itemgetter

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.candidates import candidate_rows, rows_of_blocks
from yolact_bench.detect.protocols import Nms, RescoreNet, Rescorer
from yolact_bench.detect.rescore import bind_features
from yolact_bench.geometry.boxes import decode, to_pixels
from yolact_bench.geometry.image_masks import MaskRegion, mask_regions, upsample
from yolact_bench.geometry.protocols import Assembly
from yolact_bench.shapes import (
    Detections,
    FeatureMaps,
    Predictions,
    Selection,
    map_tensors,
    on_host,
)

_EVERY = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """All that detection needs of one image: boxes to choose from, and what masks are made of."""

    boxes: Float[Tensor, "K 4"]  # corner fractions, not clipped
    probabilities: Float[Tensor, "K C"]  # without the background
    coefficients: Float[Tensor, "K k"]
    prototypes: Float[Tensor, "h w k"]
    # Only for a re-scoring network that needs them; a stored forward pass has none.
    features: FeatureMaps | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, min_score: float) -> "Candidates":
        """Return those whose best class scores above `min_score`, in the same order.

        An NMS with that `min_score` or a higher one keeps the same boxes of them as of all.
        """
        rows = candidate_rows(self.probabilities, min_score)
        return replace(
            self,
            boxes=self.boxes[rows],
            probabilities=self.probabilities[rows],
            coefficients=self.coefficients[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDetections:
    """Detections of one image before their masks are as large as the image."""

    boxes: Float[Tensor, "N 4"]  # corner fractions, not clipped
    boxes_px: Float[Tensor, "N 4"]  # integer-valued corners, within the image
    scores: Float[Tensor, " N"]
    mask_scores: Float[Tensor, " N"]  # = scores without re-scoring
    labels: Int64[Tensor, " N"]
    soft_masks: Float[Tensor, "N h w"]
    height: int  # of the image
    width: int
    mask_threshold: float
    exact: bool = True  # False: a fixed number of candidates was too small, so found again

    def __len__(self) -> int:
        return len(self.labels)

    def cpu(self) -> "SoftDetections":
        """Return the same on the host."""
        return on_host(self)

    def without_masks(self) -> "SoftDetections":
        """Return the same with masks of no cells, which cost nothing to copy."""
        return replace(self, soft_masks=self.soft_masks[:, :0, :0])

    def where(self, chosen: Bool[Tensor, " N"]) -> "SoftDetections":
        """Return the chosen detections, in the same order."""
        return map_tensors(self, itemgetter(chosen))


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionHead:
    """What makes detections of predictions. All of it is float32, in whatever the network ran.

    Source: dbolya/yolact@902073d layers/functions/detection.py and layers/output_utils.py.
    """

    nms: Nms
    assembly: Assembly
    rescorer: Rescorer
    rescore_net: RescoreNet | None

    def find(
        self,
        predictions: Predictions,
        image: int,
        *,
        height: int,
        width: int,
        clock: Clock = no_clock,
    ) -> SoftDetections:
        """Return the detections in one image of the batch, whose original size is given."""
        with clock("nms"):
            candidates = likely_candidates(predictions, image, self.nms)
            kept = self.nms(candidates.boxes, candidates.probabilities)
        return self.finish(candidates, kept, height=height, width=width, clock=clock)

    def detect(self, candidates: Candidates, *, height: int, width: int) -> SoftDetections:
        """Return the detections among the candidates of one image, whose original size is given."""
        kept = self.nms(candidates.boxes, candidates.probabilities)
        return self.finish(candidates, kept, height=height, width=width)

    def finish(
        self,
        candidates: Candidates,
        kept: Selection,
        *,
        height: int,
        width: int,
        clock: Clock = no_clock,
    ) -> SoftDetections:
        """Return the detections for which an NMS has decided."""
        boxes = candidates.boxes[kept.anchor]
        with clock("assembly"):
            # Always in one layout: products of differently laid out matrices differ in their last
            # bits.
            prototypes = candidates.prototypes.contiguous()
            soft_masks = self.assembly(prototypes, candidates.coefficients[kept.anchor], boxes)
        with clock("rescore"):
            net = bind_features(self.rescore_net, boxes, candidates.features)
            mask_scores = self.rescorer(soft_masks, kept.label, kept.score, net)
        return SoftDetections(
            boxes=boxes,
            boxes_px=to_pixels(boxes, height, width),
            scores=kept.score,
            mask_scores=mask_scores,
            labels=kept.label,
            soft_masks=soft_masks,
            height=height,
            width=width,
            mask_threshold=self.assembly.mask_threshold,
        )


def candidates_of(
    predictions: Predictions, image: int, rows: Int64[Tensor, " K"] | slice = _EVERY
) -> Candidates:
    """Return anchors of one image of the batch as candidates, those in `rows` or all."""
    return Candidates(
        boxes=decode(predictions.boxes[image][rows], predictions.anchors[rows]),
        probabilities=predictions.class_logits[image][rows].float().softmax(-1)[:, 1:],
        coefficients=predictions.coefficients[image][rows].float(),
        prototypes=predictions.prototypes[image].float(),
        features=predictions.features_of(image),
    )


def likely_candidates(predictions: Predictions, image: int, nms: Nms) -> Candidates:
    """Return the anchors that the NMS can choose from and, it may be, some more.

    On a CPU the softmax of all anchors takes longer than all that follows it, and most anchors
    are background far beyond doubt. Elsewhere it is one launch.
    """
    logits = predictions.class_logits[image].float()
    option = signature(nms).parameters.get("min_score")
    min_score = 1.0 if option is None else option.default
    # Near 1 float32 has too few digits for what follows.
    if logits.device.type != "cpu" or not 0 < min_score < 0.99:
        return candidates_of(predictions, image)
    # Of a class and the background alone, the class has the sigmoid of their difference; the
    # other classes only take from it. A hundredth less, against rounding.
    difference = logits[:, 1:] - logits[:, :1]
    rows = rows_of_blocks(difference, log(min_score / (1 - min_score)) - 0.01)
    return candidates_of(predictions, image, _EVERY if len(rows) > len(logits) // 2 else rows)


def to_detections(soft: SoftDetections) -> Detections:
    """Return the detections with all masks at image size: N·H·W bytes."""
    return Detections(
        boxes_px=soft.boxes_px,
        scores=soft.scores,
        mask_scores=soft.mask_scores,
        labels=soft.labels,
        masks=upsample(soft.soft_masks, soft.height, soft.width, threshold=soft.mask_threshold),
    )


def regions(soft: SoftDetections) -> Iterator[MaskRegion]:
    """Yield, in order, the part of each mask at image size that may be set."""
    return mask_regions(soft.soft_masks, soft.height, soft.width, threshold=soft.mask_threshold)
