"""The detector from resized pixels to detections of fixed number: what one graph records."""

from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.clock import Clock
from yolact_bench.detect.graph.fixed import (
    Chosen,
    FixedFound,
    assemble,
    check_fixed_size,
    choose,
    rescored,
)
from yolact_bench.detect.graph.outcome import Outcome, state_of
from yolact_bench.detect.graph.pairs import FixedNms
from yolact_bench.detect.rescore import Rescorer
from yolact_bench.geometry.masks import Assembly
from yolact_bench.runtime import CompilePart, Program
from yolact_bench.shapes import Predictions


class FixedProgram:
    """Normalise, the network, NMS, masks, re-scoring: each a program, none waits for the host.

    Compiled, what follows the network is a few kernels instead of a hundred, and its constants
    are on the device before a graph is recorded, which could not hold their copies.

    Raises:
        SpecError: a re-scoring network that does not work in fixed sizes.
    """

    def __init__(
        self,
        *,
        nms: FixedNms,
        assembly: Assembly,
        rescorer: Rescorer,
        rescore_net: nn.Module | None,
        mean: Float[Tensor, "3 1 1"],
        std: Float[Tensor, "3 1 1"],
        compile_part: CompilePart,
    ) -> None:
        check_fixed_size(rescore_net)
        self._mean, self._std = mean, std

        def chosen(*outputs: Tensor) -> Chosen:
            boxes, scores, coefficients, prototypes, anchors = outputs
            raw = Predictions(
                boxes=boxes,
                scores=scores,
                coefficients=coefficients,
                prototypes=prototypes,
                anchors=anchors,
                semantic=None,
            )
            return choose(raw, nms)

        def assembled(*parts: Tensor) -> Tensor:
            return assemble(Chosen(*parts), assembly)

        def scored(masks: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
            return rescored(masks, labels, scores, rescorer, rescore_net)

        self._choose = compile_part(chosen, name="NMS")
        self._assemble = compile_part(assembled, name="assembly")
        self._rescore = compile_part(scored, name="re-scoring")

    def __call__(self, network: Program, pixels: Float[Tensor, "B 3 S S"], clock: Clock) -> Outcome:
        """Return predictions and detections of images as they are resized, 0 to 255."""
        with clock("preprocess"):
            batch = (pixels - self._mean) / self._std
        raw: Predictions = network(batch, clock=clock)
        with clock("nms"):
            outputs = (raw.boxes, raw.scores, raw.coefficients, raw.prototypes, raw.anchors)
            chosen = Chosen(*self._choose(outputs))
        with clock("assembly"):
            soft_masks: Tensor = self._assemble(chosen)
        with clock("rescore"):
            mask_scores = self._rescore((soft_masks, chosen.labels, chosen.scores))
        found = FixedFound(
            boxes=chosen.boxes,
            scores=chosen.scores,
            mask_scores=mask_scores,
            labels=chosen.labels,
            soft_masks=soft_masks,
            exact=chosen.exact,
        )
        return Outcome(predictions=raw, found=found, state=state_of(found))
