"""What a schedule is, and how an entry of its slot is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

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


class MakeSchedule(Protocol):
    """An entry of `SCHEDULES`: these options, and perhaps others."""

    def __call__(
        self, *, iterations: int = ..., batch_size: int = ..., lr: float = ...
    ) -> Schedule:
        """Return the schedule."""
