"""Learning rates over a training: in steps, or half a cosine."""

import math
from dataclasses import dataclass

from yolact_bench.ranges import Milestones, NotNegative, Positive
from yolact_bench.schedule.schedule import Schedule
from yolact_bench.slots import with_facts


@with_facts(lengths=("iterations", "steps"), warm_ups=("warmup",), rates=("lr",))
@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Schedule):
    """YOLACT's schedule: linear warm-up, then the rate times `gamma` at every step.

    `adamw` is for short trainings from random weights, which the paper has none of.

    Source: YOLACT (arXiv:1904.02689) §5; dbolya/yolact@902073d train.py and data/config.py.
    Differs: `adamw` and `clip_norm` are ours.
    """

    steps: Milestones = (280_000, 600_000, 700_000, 750_000)
    gamma: Positive = 0.1

    def lr_after_warmup(self, iteration: int) -> float:
        """Return the rate after the steps that lie behind."""
        return self.lr * self.gamma ** sum(iteration >= step for step in self.steps)


@with_facts(lengths=("iterations",), warm_ups=("warmup",), rates=("lr", "final_lr"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine(Schedule):
    """Linear warm-up followed by half a cosine down to `final_lr`.

    Source: SGDR (arXiv:1608.03983).
    Differs: no restarts, and a linear warm-up.
    """

    final_lr: NotNegative = 0.0

    def lr_after_warmup(self, iteration: int) -> float:
        """Return the rate on the cosine."""
        progress = (iteration - self.warmup) / max(1, self.iterations - self.warmup)
        return self.final_lr + (self.lr - self.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))
