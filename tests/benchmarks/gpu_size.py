"""How large a GPU session is: in full, or small enough for a CPU."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from runners.timing.clocks import TIMERS, timer_for, warm_up
from runners.timing.rounds import RoundOptions, alternate, calls_in_a_turn
from yolact_bench.statistics.timing import median_interval, paired_ratio

Part = Mapping[str, object]  # plain data, as it goes into the record
TWIN = "again"  # the first arm's name where it is timed twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is timed, at which size and for how long."""

    name: str
    presets: tuple[str, ...]
    image_size: int | None  # None: the preset's own
    batches: tuple[int, ...]
    layers: Mapping[str, tuple[int, int]]  # deformable layer → side and channels
    layer_batches: tuple[int, ...]
    trained: tuple[str, ...]
    compiled_training: tuple[str, ...]
    train_batch: int
    seconds: float  # of the rounds of one session
    micro_seconds: float  # of the rounds of one micro measurement
    loader_steps: int  # of the training with its loader
    patience: float  # factor on the time boxes, which are those of a GPU
    rounds: int | None = None  # at most; None: as the seconds allow


FULL = Size(
    name="full",
    presets=("yolact_r50", "yolact_plus_r50", "yolact_plus_r101"),
    image_size=None,
    batches=(1, 8),
    layers={"C3": (69, 128), "C4": (35, 256), "C5": (18, 512)},
    layer_batches=(1, 8, 32),
    trained=("yolact_r50", "yolact_plus_r50"),
    compiled_training=("yolact_plus_r50",),
    train_batch=32,
    seconds=6.0,
    micro_seconds=0.8,
    loader_steps=300,
    patience=1.0,
)
SMALL = replace(
    FULL,
    name="small",
    presets=("yolact_tiny",),
    image_size=72,
    layers={"C5": (9, 16)},
    batches=(1, 2),
    layer_batches=(1,),
    trained=("yolact_tiny",),
    compiled_training=(),  # minutes on a CPU
    train_batch=2,
    seconds=2.0,
    micro_seconds=0.1,
    loader_steps=6,
    patience=5.0,
    rounds=12,
)


def timed_together(
    arms: Mapping[str, Callable[[], object]], device: torch.device, size: Size
) -> dict[str, dict[str, object]]:
    """Return the times of calls without input; the first arm is the reference, and timed twice."""
    first = next(iter(arms))
    steps = {name: partial(_numbered, call) for name, call in arms.items()}
    steps[TWIN] = steps[first]
    timer = TIMERS[timer_for(device.type)]
    for step in steps.values():
        warm_up(step, timer, calls=5, max_seconds=size.seconds / 4)
    times = {name: [timer(partial(step, 0)).ms] for name, step in steps.items()}
    plan = RoundOptions(
        baseline=first,
        rel_ci=0.005,
        max_seconds=size.seconds,
        max_rounds=size.rounds,
        calls=calls_in_a_turn(times, device.type),
    )
    found = alternate(steps, timer, plan)
    reference = found.ms(first)
    return {
        name: {
            "median_ms": float(torch.tensor(found.ms(name), dtype=torch.float64).median()),
            "interval_ms": median_interval(found.ms(name), calls=plan.calls),
            **_compared(reference, found.ms(name), plan.calls),
            "samples_ms": found.ms(name),
        }
        for name in steps
    }


def _compared(
    reference: Sequence[float], samples: Sequence[float], calls: int
) -> dict[str, object]:
    ratio, interval = paired_ratio(reference, samples, calls=calls)
    return {"times_as_fast": ratio, "times_as_fast_interval": interval}


def _numbered(call: Callable[[], object], number: int) -> object:
    return call()
