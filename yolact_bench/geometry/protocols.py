"""What anchor sets and assemblies take and return: the protocols of their slots."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor

# Width and height in pixels of the network's input: one tuple per level, one pair per anchor.
AnchorShapes: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]


class MakeAnchors(Protocol):
    """An entry of `ANCHORS`: options → the shapes on each level, P3 to P7.

    Fact: `pixels`, the names of the options that are in pixels of the input.
    """

    def __call__(self, *args: Any, **options: Any) -> AnchorShapes:  # noqa: ANN401
        """Return the shapes; an entry may have options without a default."""


@runtime_checkable
class Assembly(Protocol):
    """Combine prototypes into one soft mask per detection, values from 0 to 1.

    Facts: `row_by_row`, whether on a CPU no mask's bits depend on the others made with it;
    `kernels`, a method that makes the masks of a whole batch by kernels of its own.
    """

    @property
    def mask_threshold(self) -> float:
        """A pixel belongs to the object where its soft mask, upsampled, is above this."""

    def __call__(
        self,
        prototypes: Float[Tensor, "h w k"],
        coefficients: Float[Tensor, "N k"],
        boxes: Float[Tensor, "N 4"],
    ) -> Float[Tensor, "N h w"]:
        """Return the soft mask of each detection."""


@runtime_checkable
class MakeAssembly(Protocol):
    """An entry of `ASSEMBLIES`: options → `Assembly`."""

    def __call__(self) -> Assembly:
        """Return the assembly with the bound options."""
