"""Optimizers by the name that a schedule's option `optimizer` gives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

OptimizerName: TypeAlias = Literal["sgd", "adamw"]  # the names in OPTIMIZERS


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerEntry:
    """An entry of `OPTIMIZERS`."""

    build: Callable[..., torch.optim.Optimizer]  # of parameters, lr, momentum and weight_decay
    moments: int  # numbers per weight that it keeps, in memory and in a checkpoint
    uses_momentum: bool = True


def _sgd(
    parameters: Sequence[nn.Parameter], *, lr: float | Tensor, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return SGD: on a device, where the rate is a tensor, one kernel for all parameters.

    On a CPU its plain form, as that kernel rounds otherwise.
    """
    fused = isinstance(lr, Tensor) or None
    optimizer = torch.optim.SGD(
        parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused
    )
    if fused and momentum:  # the kernel fails where a gradient comes later than those of others
        for parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _adamw(
    parameters: Sequence[nn.Parameter], *, lr: float | Tensor, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return AdamW with its own two momenta, 0.9 and 0.999; `momentum` has no effect."""
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


OPTIMIZERS: Mapping[OptimizerName, OptimizerEntry] = {
    "sgd": OptimizerEntry(build=_sgd, moments=1),
    "adamw": OptimizerEntry(build=_adamw, moments=2, uses_momentum=False),
}
