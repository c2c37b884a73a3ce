"""All that detection needs of one image: from the network's output, or from a stored pass."""

from dataclasses import dataclass, replace
from inspect import signature
from math import log

from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.detect.candidates import candidate_rows, rows_of_blocks
from yolact_bench.detect.protocols import Nms
from yolact_bench.geometry.boxes import decode
from yolact_bench.shapes import FeatureMaps, Predictions

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
