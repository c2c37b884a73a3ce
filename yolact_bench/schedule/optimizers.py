"""Optimizers by the name that a schedule's option `optimizer` gives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import nn

OptimizerName: TypeAlias = Literal["sgd", "adamw"]  # the names in OPTIMIZERS


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerEntry:
    """An entry of `OPTIMIZERS`."""

    build: Callable[..., torch.optim.Optimizer]  # of parameters, lr, momentum and weight_decay
    moments: int  # numbers per weight that it keeps, in memory and in a checkpoint
    uses_momentum: bool = True


def _adamw(
    parameters: Sequence[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return AdamW with its own two momenta, 0.9 and 0.999; `momentum` has no effect."""
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


OPTIMIZERS: Mapping[OptimizerName, OptimizerEntry] = {
    "sgd": OptimizerEntry(build=torch.optim.SGD, moments=1),
    "adamw": OptimizerEntry(build=_adamw, moments=2, uses_momentum=False),
}
