"""Learning rates over a training: in steps, or half a cosine."""

import math
from collections.abc import Sequence

from yolact_bench.schedule.schedule import OptimizerName, Schedule
from yolact_bench.slots import Count, CountOrZero, Fraction, NotNegative, Positive


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
    Differs: `adamw` and `clip_norm` are ours.
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

    Source: SGDR (arXiv:1608.03983).
    Differs: no restarts, and a linear warm-up.
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
