"""What a backbone is: an image in, three feature maps out, and what others must know of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.deform.layer import DeformImplementation

Block: TypeAlias = tuple[int, int]  # (stage, block), both from 0; stage 0 is C2, stage 3 is C5


class Backbone(nn.Module, ABC):
    """A module that returns C3, C4 and C5, and says how its input is normalised.

    A new one is a file with a subclass and a line in `BACKBONES`. Where batch norm follows a
    convolution is found when the network is prepared for inference, and need not be stated.
    """

    mean: tuple[float, float, float]  # RGB, 0-255 scale
    std: tuple[float, float, float]
    channels: tuple[int, int, int]  # of C3, C4, C5
    placed: frozenset[Block] = frozenset()  # blocks with a deformable layer
    imagenet = ""  # torchvision's name of its ImageNet weights, such as ResNet50_Weights

    @abstractmethod
    def forward(self, x: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """Return C3, C4 and C5 of normalised images, [B, channels, H / 8 …], sides rounded up."""

    @abstractmethod
    def residual_norms(self) -> Sequence[nn.BatchNorm2d]:
        """Return the batch norm that ends each residual branch; nothing without such branches."""

    def own_names(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of another program's weight file by the names used here."""
        return state


@runtime_checkable
class Placement(Protocol):
    """An entry of `DCN_PLACEMENTS`: which blocks get a deformable layer. Needs no tensor."""

    def __call__(self, blocks: Sequence[int]) -> frozenset[Block]:
        """Return the chosen blocks; `blocks` says how many each stage has."""


class MakeBackbone(Protocol):
    """An entry of `BACKBONES`.

    Facts: `imagenet`, as the attribute of its backbone; `blocks`, how many each stage has, as its
    placement is told; `unfolded_norms`, how many batch norms cannot be folded.
    """

    def __call__(self, placement: Placement, deform: DeformImplementation) -> Backbone:
        """Return the backbone, its deformable layers where the placement says."""


class Init(Protocol):
    """An entry of `INITS`.

    Facts: `random`, whether the weights are random; `needs_imagenet`, whether it refuses a backbone
    without ImageNet weights in torchvision; `fills_network`, whether it takes the whole network in
    the place of the backbone, and the names of its classes.
    """

    def __call__(self, part: Any, /, *args: Any, **options: Any) -> None:  # noqa: ANN401
        """Fill the weights of the backbone; an entry may have options without a default."""
