"""Runtimes: how the network is executed at inference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
from torch import nn

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
HALF: Mapping[str, torch.dtype] = MappingProxyType({"bf16": torch.bfloat16, "fp16": torch.float16})


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A precision, and what to make of the network before it is called."""

    precision: Precision
    prepare: Callable[[nn.Module], nn.Module]


def eager(*, precision: Precision = "fp32") -> Runtime:
    """Return plain PyTorch: every operator is launched as it is met.

    Source: PyTorch; what dbolya/yolact@902073d does, apart from its scripted FPN.
    """
    return Runtime(precision=precision, prepare=lambda network: network)


RUNTIMES: Mapping[str, Callable[..., Runtime]] = {"eager": eager}
