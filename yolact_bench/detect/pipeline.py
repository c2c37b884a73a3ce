"""Detection in one image: decode → NMS → assemble → re-score → masks at image size.

All that follows the network starts from `Candidates`, whether they come from the network or from
a stored forward pass: a replay goes the same way as the whole detector, so it ends the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import itemgetter

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.image_candidates import Candidates, likely_candidates
from yolact_bench.detect.protocols import Nms, RescoreNet, Rescorer
from yolact_bench.detect.rescore import bind_features
from yolact_bench.geometry.boxes import to_pixels
from yolact_bench.geometry.image_masks import MaskRegion, mask_regions, upsample
from yolact_bench.geometry.protocols import Assembly
from yolact_bench.shapes import Detections, Predictions, Selection, map_tensors, on_host


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
