"""Detection in fixed sizes: everything after resizing that one recorded program can hold.

The steps of `DetectionHead.find`, for all images of a batch and for as many detections as can
ever come out. Nothing waits for the device until `detections` drops the empty rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.graph.choice import Assemble, Choose, MaskInputs
from yolact_bench.detect.graph.pairs import FixedNms
from yolact_bench.detect.pipeline import DetectionHead, SoftDetections
from yolact_bench.geometry.boxes import decode, to_pixels
from yolact_bench.geometry.protocols import Assembly
from yolact_bench.runtime.runtime import CompilePart, Program
from yolact_bench.shapes import Predictions
from yolact_bench.slots import fact


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedDetections:
    """Detections of a batch, best first, always as many; those of score 0 are empty."""

    boxes: Float[Tensor, "B N 4"]  # corner fractions, not clipped
    scores: Float[Tensor, "B N"]
    mask_scores: Float[Tensor, "B N"]  # = scores without re-scoring
    labels: Int64[Tensor, "B N"]
    soft_masks: Float[Tensor, "B N h w"]  # of an empty row: of no meaning
    exact: Bool[Tensor, " B"]  # the detections are all that `DetectionHead.find` returns

    def detections(
        self, index: int, count: int, *, height: int, width: int, mask_threshold: float
    ) -> SoftDetections:
        """Return a copy of the first `count` detections in one image of this size."""
        boxes, scores, mask_scores, labels, soft_masks = (
            part[index, :count].clone()
            for part in (self.boxes, self.scores, self.mask_scores, self.labels, self.soft_masks)
        )
        return SoftDetections(
            boxes=boxes,
            boxes_px=to_pixels(boxes, height, width),
            scores=scores,
            mask_scores=mask_scores,
            labels=labels,
            soft_masks=soft_masks,
            height=height,
            width=width,
            mask_threshold=mask_threshold,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOutput:
    """What a program leaves on the device, in memory that its next replay may overwrite."""

    predictions: Predictions
    detections: FixedDetections
    state: Int64[Tensor, "B 2"]  # how many rows are not empty; 1 where they are exact


def call_directly(function: Callable[..., object], *, name: str) -> Callable[..., object]:
    """Return a function of tensors as one of their sequence, executed step by step."""
    return lambda tensors: function(*tensors)


def choose_by(nms: FixedNms, compile_part: CompilePart) -> Choose:
    """Return the choice of an NMS of decoded boxes and probabilities, as one compiled program."""

    def choose(
        boxes: Float[Tensor, "B A 4"],
        scores: Float[Tensor, "B A C1"],
        coefficients: Float[Tensor, "B A k"],
        prototypes: Float[Tensor, "B h w k"],
        anchors: Float[Tensor, "A 4"],
    ) -> MaskInputs:
        decoded = decode(boxes, anchors)
        kept = nms(decoded, scores.float().softmax(-1)[..., 1:])
        return MaskInputs(
            boxes=_rows(decoded, kept.anchor),
            scores=kept.score,
            labels=kept.label,
            exact=kept.exact,
            coefficients=_rows(coefficients.float(), kept.anchor),
            prototypes=prototypes.float().contiguous(),
        )

    program = compile_part(choose, name="NMS")

    def choose_of(raw: Predictions) -> MaskInputs:
        raw = raw.in_order()
        outputs = (raw.boxes, raw.class_logits, raw.coefficients, raw.prototypes, raw.anchors)
        return MaskInputs(*program(outputs))

    return choose_of


def assemble_by(assembly: Assembly, compile_part: CompilePart) -> Assemble:
    """Return the assembly of all images of a batch, as one compiled program."""

    def assemble(
        prototypes: Float[Tensor, "B h w k"],
        coefficients: Float[Tensor, "B N k"],
        boxes: Float[Tensor, "B N 4"],
    ) -> Float[Tensor, "B N h w"]:
        images = zip(prototypes.float().contiguous(), coefficients, boxes, strict=True)
        return torch.stack([assembly(*image) for image in images])

    program = compile_part(assemble, name="assembly")
    return lambda *parts: program(parts)


class FixedDetection:
    """NMS, masks and re-scoring of all images of a batch, each a program that never waits.

    Where `exact` holds, the detections are those of `DetectionHead.find`. On a CPU boxes, scores
    and soft masks have the same bits, and mask scores differ by the rounding of another batch
    size; on a GPU soft masks differ by that as well. Compiled, this is a few kernels instead of a
    hundred, and its constants are on the device before a graph is recorded, which could not hold
    their copies.

    With `choose` that chooses in place of the NMS; with `assemble` that makes the masks. The
    re-scoring network must not look at feature maps: how many boxes belong to which map is known
    on the device only.
    """

    def __init__(
        self,
        head: DetectionHead,
        nms: FixedNms,
        compile_part: CompilePart = call_directly,
        choose: Choose | None = None,
        assemble: Assemble | None = None,
    ) -> None:
        def rescore(
            masks: Float[Tensor, "B N h w"],
            labels: Int64[Tensor, "B N"],
            scores: Float[Tensor, "B N"],
        ) -> Float[Tensor, "B N"]:
            rows = masks.flatten(0, 1), labels.flatten(), scores.flatten()
            return head.rescorer(*rows, head.rescore_net).view_as(scores)

        self.reads_rows = bool(fact(choose, "reads_rows"))
        self._choose = choose or choose_by(nms, compile_part)
        self._assemble = assemble or assemble_by(head.assembly, compile_part)
        self._rescore = compile_part(rescore, name="re-scoring")

    def __call__(self, raw: Predictions, clock: Clock = no_clock) -> FixedDetections:
        """Return the detections of all images of the batch, masks at prototype size."""
        with clock("nms"):
            chosen = self._choose(raw)
        with clock("assembly"):
            soft_masks = self._assemble(chosen.prototypes, chosen.coefficients, chosen.boxes)
        with clock("rescore"):
            mask_scores = self._rescore((soft_masks, chosen.labels, chosen.scores))
        return FixedDetections(
            boxes=chosen.boxes,
            scores=chosen.scores,
            mask_scores=mask_scores,
            labels=chosen.labels,
            soft_masks=soft_masks,
            exact=chosen.exact,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedProgram:
    """Normalisation, the network and detection: what one graph records."""

    detection: FixedDetection
    mean: Float[Tensor, "3 1 1"]
    std: Float[Tensor, "3 1 1"]

    def __call__(
        self, network: Program, pixels: Float[Tensor, "B 3 S S"], clock: Clock
    ) -> ProgramOutput:
        """Return predictions and detections of images as they are resized, 0 to 255."""
        with clock("preprocess"):
            batch = (pixels - self.mean) / self.std
        raw: Predictions = network(batch, clock=clock)
        detections = self.detection(raw, clock)
        return ProgramOutput(
            predictions=raw,
            detections=detections,
            state=state_of(detections.scores, detections.exact),
        )


def state_of(scores: Float[Tensor, "B N"], exact: Bool[Tensor, " B"]) -> Int64[Tensor, "B 2"]:
    """Return what the host must know of each image, in one tensor: it then waits once."""
    return torch.stack([(scores > 0).sum(1), exact.long()], 1)


def _rows(values: Float[Tensor, "B A k"], rows: Int64[Tensor, "B N"]) -> Float[Tensor, "B N k"]:
    return values.gather(1, rows[..., None].expand(*rows.shape, values.shape[-1]))
