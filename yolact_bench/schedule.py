"""Training schedules: how many iterations, at which batch size and learning rate."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from yolact_bench.slots import Count, CountOrZero, Fraction, NotNegative, Positive

OptimizerName: TypeAlias = Literal["sgd", "adamw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The optimiser's settings, and the learning rate of every iteration."""

    iterations: int
    batch_size: int
    optimizer: OptimizerName
    momentum: float  # sgd's; adamw has its own two, 0.9 and 0.999
    weight_decay: float
    clip_norm: float | None  # maximum gradient norm; None: not clipped
    lr_at: Callable[[int], float]


def steps(
    *,
    iterations: Count = 800_000,
    batch_size: Count = 8,
    lr: Positive = 1e-3,
    steps: Sequence[CountOrZero] = (280_000, 600_000, 700_000, 750_000),
    gamma: Positive = 0.1,
    warmup: CountOrZero = 500,
    warmup_lr: NotNegative = 1e-4,
    optimizer: OptimizerName = "sgd",
    momentum: Fraction = 0.9,
    weight_decay: NotNegative = 5e-4,
    clip_norm: Positive | None = None,
) -> Schedule:
    """Return YOLACT's schedule: linear warm-up, then the rate times `gamma` at every step.

    Weight decay acts on everything, batch norm and biases included. `adamw` is for short
    trainings from random weights, which the paper has none of.

    Source: YOLACT (arXiv:1904.02689) §5; dbolya/yolact@902073d train.py and data/config.py.
    """

    def lr_at(iteration: int) -> float:
        if iteration < warmup:
            return warmup_lr + (lr - warmup_lr) * iteration / warmup
        return lr * gamma ** sum(iteration >= step for step in steps)

    return Schedule(
        iterations=iterations,
        batch_size=batch_size,
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        lr_at=lr_at,
    )


def cosine(
    *,
    iterations: Count = 800_000,
    batch_size: Count = 8,
    lr: Positive = 1e-3,
    warmup: CountOrZero = 500,
    warmup_lr: NotNegative = 1e-4,
    final_lr: NotNegative = 0.0,
    optimizer: OptimizerName = "sgd",
    momentum: Fraction = 0.9,
    weight_decay: NotNegative = 5e-4,
    clip_norm: Positive | None = None,
) -> Schedule:
    """Return linear warm-up followed by half a cosine down to `final_lr`.

    Source: SGDR (arXiv:1608.03983), without restarts.
    """

    def lr_at(iteration: int) -> float:
        if iteration < warmup:
            return warmup_lr + (lr - warmup_lr) * iteration / warmup
        progress = (iteration - warmup) / max(1, iterations - warmup)
        return final_lr + (lr - final_lr) * 0.5 * (1 + math.cos(math.pi * progress))

    return Schedule(
        iterations=iterations,
        batch_size=batch_size,
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        lr_at=lr_at,
    )


class MakeSchedule(Protocol):
    """An entry of `SCHEDULES`: these options, and perhaps others."""

    def __call__(
        self, *, iterations: int = ..., batch_size: int = ..., lr: float = ...
    ) -> Schedule:
        """Return the schedule."""


SCHEDULES: Mapping[str, MakeSchedule] = {"steps": steps, "cosine": cosine}
