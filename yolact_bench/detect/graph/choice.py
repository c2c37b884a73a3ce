"""What comes of raw predictions in fixed sizes, and an NMS that chooses it by kernels."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from yolact_bench.shapes import Predictions


class MaskInputs(NamedTuple):
    """What the NMS chose in each image, and what its masks are made of.

    Rows of score 0 are empty, and the rest of them is of no meaning.
    """

    boxes: Float[Tensor, "B N 4"]
    scores: Float[Tensor, "B N"]
    labels: Int64[Tensor, "B N"]
    exact: Bool[Tensor, " B"]
    coefficients: Float[Tensor, "B N k"]
    prototypes: Float[Tensor, "B h w k"]


Choose: TypeAlias = Callable[[Predictions], MaskInputs]
# Prototypes, coefficients and boxes → soft masks.
Assemble: TypeAlias = Callable[
    [Float[Tensor, "B h w k"], Float[Tensor, "B N k"], Float[Tensor, "B N 4"]],
    Float[Tensor, "B N h w"],
]


@runtime_checkable
class KernelNms(Protocol):
    """Choose detections of raw predictions, as the `FixedNms` of the same name, with its options.

    Facts: `fault`, from a kind of device and the numbers of anchors and of classes to why it
    cannot be used, or nothing; `reads_rows`, whether it takes rows where the head left them.
    """

    def __call__(self, raw: Predictions) -> MaskInputs:
        """Return the kept boxes of all images, best first, and what their masks are made of."""
