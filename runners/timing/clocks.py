"""Clocks, warm-up, and the order in which arms are timed so that their times compare."""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch

from yolact_bench.clock import STAGES

Step = Callable[[int], object]  # one call of an arm, given the number of the round
Timer = Callable[[Callable[[], object]], float]  # runs a call once, returns its milliseconds

MIN_ROUNDS = 10
# Warm-up ends when the last two quarters of its calls, at least so many each, have medians this
# close.
_WINDOW, _FLAT = 5, 0.05


class Sample(NamedTuple):
    """One timed call."""

    ms: float  # until its result was there
    enqueue_ms: float  # until it returned to the host; the same on a CPU


class WarmUp(NamedTuple):
    """How an arm was warmed up."""

    calls: int
    stable: bool  # its times had stopped falling


Probe = Callable[[Callable[[], object]], Sample]


def wall_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds of one call on the CPU."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def cpu_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds that all threads of this process were busy during one call."""
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def cpu_sample(call: Callable[[], object]) -> Sample:
    """Return the CPU time of one call: other programs on the machine do not lengthen it."""
    ms = cpu_ms(call)
    return Sample(ms, ms)


def wall_sample(call: Callable[[], object]) -> Sample:
    """Return the time of one call on the CPU."""
    ms = wall_ms(call)
    return Sample(ms, ms)


def event_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds between two CUDA events around one call."""
    return event_sample(call).ms


def event_sample(call: Callable[[], object]) -> Sample:
    """Return the milliseconds between two CUDA events around one call, and those of the host.

    The device is idle when the first event is recorded, so what the call does on the CPU
    between its kernels counts, as it does for whoever waits for the result.
    """
    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    enqueue_ms = wall_ms(call)
    end.record()
    end.synchronize()
    return Sample(float(start.elapsed_time(end)), enqueue_ms)


TIMERS: Mapping[str, Timer] = {
    "wall clock": wall_ms,
    "CPU time": cpu_ms,
    "CUDA events": event_ms,
}
PROBES: Mapping[str, Probe] = {
    "wall clock": wall_sample,
    "CPU time": cpu_sample,
    "CUDA events": event_sample,
}


def timer_for(device_type: str) -> str:
    """Return the name of the timer for a device type: cpu or cuda."""
    return "CUDA events" if device_type == "cuda" else "wall clock"


def warm_up(
    step: Step,
    timer: Timer,
    *,
    calls: int = 20,
    min_seconds: float = 0.0,
    max_seconds: float = float("inf"),
    now: Callable[[], float] = time.perf_counter,
) -> WarmUp:
    """Return how many warm-up calls were made, and whether times had become flat.

    At least `calls` calls and `min_seconds`, then until times are flat; at most five times
    either, as a shared machine may never be flat. No further call after `max_seconds`, unless
    fewer than three were made.
    """
    begin = now()
    times: list[float] = []
    while True:
        spent = now() - begin
        if len(times) >= calls and spent >= min_seconds and _flat(times):
            return WarmUp(len(times), True)
        if len(times) >= 5 * calls and spent >= 5 * min_seconds:
            return WarmUp(len(times), False)
        if len(times) >= 3 and spent >= max_seconds:
            return WarmUp(len(times), _flat(times))
        times.append(timer(partial(step, len(times))))


def time_together(
    steps: Mapping[str, Step],
    timer: Timer,
    *,
    rounds: int = 200,
    warmup: int = 20,
    seed: int = 0,
    max_seconds: float = float("inf"),
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return milliseconds per call of every step, one sample a round, `rounds` rounds.

    Steps alternate, A B C, B C A, ... Clocks follow temperature over seconds, so timing
    all of A and then all of B reports the drift as a difference between A and B. The order
    is drawn anew each round, so no step always runs behind the same neighbour.

    A round is never left unfinished. After `max_seconds` no further round starts, except
    to complete the first ten (or `rounds`, if fewer).
    """
    for step in steps.values():
        for call in range(warmup):
            timer(partial(step, call))

    order = random.Random(seed)
    samples: dict[str, list[float]] = {name: [] for name in steps}
    end = now() + max_seconds
    for number in range(rounds):
        if number >= MIN_ROUNDS and now() >= end:
            break
        for name in order.sample(sorted(steps), k=len(steps)):
            samples[name].append(timer(partial(steps[name], number)))
    return samples


class StageClock:
    """A `Clock` that adds up the milliseconds of each stage until they are taken.

    On a GPU it waits for the device at both ends of every stage. That forbids the overlap of
    CPU and GPU work, so stages are timed in rounds of their own and their sum is no latency.
    """

    def __init__(self, device_type: str) -> None:
        self._wait = torch.cuda.synchronize if device_type == "cuda" else _nothing
        self._ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the block as a part of `stage`."""
        assert stage in STAGES, stage
        self._wait()
        start = time.perf_counter_ns()
        yield
        self._wait()
        self.add(stage, (time.perf_counter_ns() - start) / 1e6)

    def add(self, stage: str, milliseconds: float) -> None:
        """Count milliseconds that were measured elsewhere, as within a CUDA graph."""
        self._ms[stage] = self._ms.get(stage, 0.0) + milliseconds

    def take(self) -> dict[str, float]:
        """Return the milliseconds of each stage since the last `take`, and start anew."""
        taken, self._ms = self._ms, {}
        return taken


def _flat(times: Sequence[float]) -> bool:
    window = max(_WINDOW, len(times) // 4)
    if len(times) < 2 * window:
        return False
    before = statistics.median(times[-2 * window : -window])
    after = statistics.median(times[-window:])
    return abs(after / before - 1) < _FLAT if before > 0 else True


def _nothing() -> None:
    """Wait for nothing: on the CPU a call has finished when it returns."""
