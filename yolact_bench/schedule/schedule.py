"""What a schedule is: the options that all have, the warm-up, and the optimizer."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from yolact_bench.schedule.optimizers import OPTIMIZERS, OptimizerName
from yolact_bench.slots import Count, CountOrZero, Fraction, NotNegative, Positive, with_facts

_WITHOUT_MOMENTUM = [name for name, entry in OPTIMIZERS.items() if not entry.uses_momentum]


@with_facts(
    unused_with={"momentum": ("optimizer", _WITHOUT_MOMENTUM), "warmup_lr": ("warmup", [0])}
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(ABC):
    """The options of every schedule. A subclass adds its own, and the rate after the warm-up."""

    iterations: Count = 800_000
    batch_size: Count = 8
    lr: Positive = 1e-3
    warmup: CountOrZero = 500
    warmup_lr: NotNegative = 1e-4
    optimizer: OptimizerName = "sgd"
    momentum: Fraction = 0.9
    weight_decay: NotNegative = 5e-4  # on every parameter, batch norm and biases included
    clip_norm: Positive | None = None  # maximum gradient norm; None: not clipped

    def lr_at(self, iteration: int) -> float:
        """Return the rate of an iteration: from `warmup_lr` to `lr`, then as the subclass says."""
        if iteration < self.warmup:
            return self.warmup_lr + (self.lr - self.warmup_lr) * iteration / self.warmup
        return self.lr_after_warmup(iteration)

    @abstractmethod
    def lr_after_warmup(self, iteration: int) -> float:
        """Return the rate of an iteration from `warmup` on."""

    def build_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of those parameters that train, at the first iteration's rate."""
        return OPTIMIZERS[self.optimizer].build(
            [parameter for parameter in parameters if parameter.requires_grad],
            lr=self.lr_at(0),
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )


class MakeSchedule(Protocol):
    """An entry of `SCHEDULES`: these options, and perhaps others.

    Facts, all tuples of names of options: `lengths`, numbers of iterations that change with the
    length of a training; `warm_ups`, those of its start, which do not change with the batch size;
    `rates`, learning rates that change with it.
    """

    def __call__(
        self, *, iterations: int = ..., batch_size: int = ..., lr: float = ...
    ) -> Schedule:
        """Return the schedule."""
