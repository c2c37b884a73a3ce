"""What a schedule is: the options that all have, the warm-up, and the optimizer."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from yolact_bench.ranges import BatchSize, Count, CountOrZero, Fraction, NotNegative, Positive
from yolact_bench.schedule.optimizers import OPTIMIZERS, OptimizerName
from yolact_bench.shapes import reading_is_free
from yolact_bench.slots import with_facts

_WITHOUT_MOMENTUM = [name for name, entry in OPTIMIZERS.items() if not entry.uses_momentum]


@with_facts(
    unused_with={"momentum": ("optimizer", _WITHOUT_MOMENTUM), "warmup_lr": ("warmup", [0])}
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(ABC):
    """The options of every schedule. A subclass adds its own, and the rate after the warm-up."""

    iterations: Count = 800_000
    batch_size: BatchSize = 8
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
        """Return the optimizer of those parameters that train, at the first iteration's rate.

        For parameters on a device the rate lies there too, where a recorded step reads it. From a
        checkpoint the optimizer takes its moments alone: how they are applied is a matter of the
        device, which may be another.
        """
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        lr = self.lr_at(0)
        on_device = trained and not reading_is_free(trained[0])
        optimizer = OPTIMIZERS[self.optimizer].build(
            trained,
            lr=trained[0].new_tensor(lr) if on_device else lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        optimizer.register_load_state_dict_pre_hook(_keep_options)
        return optimizer

    def set_lr(self, optimizer: torch.optim.Optimizer, iteration: int) -> None:
        """Give the optimizer the rate of an iteration; the host waits for no device."""
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.lr_at(iteration))
            else:
                group["lr"] = self.lr_at(iteration)


def _keep_options(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    return {**saved, "param_groups": optimizer.state_dict()["param_groups"]}


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
