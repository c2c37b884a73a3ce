"""Backbones: an image in, three feature maps out."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from yolact_bench.model.backbone.darknet import darknet53
from yolact_bench.model.backbone.resnet import resnet18, resnet34, resnet50, resnet101


@runtime_checkable
class Backbone(Protocol):
    """A module that returns C3, C4 and C5, and says how its input is normalised."""

    mean: tuple[float, float, float]  # RGB, 0-255 scale
    std: tuple[float, float, float]
    channels: tuple[int, int, int]  # of C3, C4, C5

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return C3, C4 and C5 of normalised images [B, 3, S, S]."""
        ...


BACKBONES: Mapping[str, Callable[..., Backbone]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "darknet53": darknet53,
}
