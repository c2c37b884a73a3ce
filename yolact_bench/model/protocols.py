"""What the parts of a network between backbone and detection are: the protocols of their slots."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn


class Fpn(nn.Module, ABC):
    """C3, C4 and C5 as five maps, P3 to P7, each of half the side of the last."""

    channels: int  # of every map

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return P3 … P7, each [B, channels, side, side]."""


class Protonet(nn.Module, ABC):
    """Prototype masks of the whole image, from P3."""

    k: int  # number of prototypes

    @abstractmethod
    def forward(self, p3: Tensor) -> Tensor:
        """Return prototypes [B, h, w, k] at twice the size of P3 [B, I, h3, w3]."""

    def for_inference(self, device: torch.device) -> nn.Module:
        """Return the same, without gradients, in the fastest form for that device."""
        return self


class Head(nn.Module, ABC):
    """Boxes, class logits and mask coefficients of every anchor.

    Anchor-major: levels P3 to P7, cells row by row, anchors innermost.

    `class_layers` names the layers with outputs for each class, and how many outputs come before
    the first class in every block of them. Training from another detector keeps the outputs of
    classes that both have; a layer that is left out here must have the same shape there.
    """

    class_layers: Mapping[str, int] = MappingProxyType({})

    @abstractmethod
    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes [B, A, 4], class logits [B, A, C + 1] and coefficients [B, A, k]."""

    def for_inference(self, device: torch.device) -> nn.Module:
        """Return the same, without gradients, in the fastest form for that device."""
        return self


class MakeFpn(Protocol):
    """An entry of `FPNS`."""

    def __call__(self, inputs: Sequence[int]) -> Fpn:
        """Return the FPN for maps of these widths."""


class MakeProtonet(Protocol):
    """An entry of `PROTONETS`."""

    def __call__(self, inputs: int) -> Protonet:
        """Return the protonet for a P3 of this width."""


class MakeHead(Protocol):
    """An entry of `HEADS`."""

    def __call__(self, inputs: int, num_anchors: int, num_classes: int, k: int) -> Head:
        """Return the head for levels of width `inputs`; `num_anchors` is per cell."""


class MakeRescoreNet(Protocol):
    """An entry of `RESCORE_NETS`.

    Facts: `needs_features`, whether it looks at feature maps; `makes_nothing`, whether there is
    none; `halvings`, the name of an option with one value for each layer that halves the mask.
    A network has `class_layers`, as a `Head` has.
    """

    def __call__(
        self, num_classes: int, mask_size: int, fpn_channels: int, image_size: int
    ) -> nn.Module | None:
        """Return the network; sizes are the sides of a prototype and of the input."""


class BatchNormPolicy(Protocol):
    """An entry of `BATCH_NORMS`: whether running statistics, scale and shift stand still.

    Fact: `trains_from`, the name of the option with the smallest batch that is not frozen.
    """

    def __call__(self, batch_size: int) -> bool:
        """Return whether to freeze; the batch is that of all devices together."""
