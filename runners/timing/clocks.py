"""Clocks of whole calls and of their stages, and the warm-up before them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch

from yolact_bench.clock import STAGES

NumberedCall = Callable[[int], object]  # one call of an arm, given its number

# Warm-up ends when the last two quarters of its calls, at least this many each, have medians
# this close.
_WINDOW, _FLAT = 5, 0.05


class CallTime(NamedTuple):
    """One timed call."""

    ms: float  # until its result was there
    enqueue_ms: float  # until it returned to the host; the same on a CPU


class WarmUp(NamedTuple):
    """How an arm was warmed up."""

    calls: int
    stable: bool  # its times had stopped falling


Timer = Callable[[Callable[[], object]], CallTime]  # runs a call once


def wall_clock(call: Callable[[], object]) -> CallTime:
    """Time one call on the CPU."""
    start = time.perf_counter_ns()
    call()
    ms = (time.perf_counter_ns() - start) / 1e6
    return CallTime(ms, ms)


def cuda_events(call: Callable[[], object]) -> CallTime:
    """Time between two CUDA events around one call.

    The device is idle when the first event is recorded, so what the call does on the CPU
    between its kernels counts, as it does for a program that waits for the result.
    """
    start, end = cuda_event(), cuda_event()
    torch.cuda.synchronize()
    start.record()
    enqueue_ms = wall_clock(call).ms
    end.record()
    end.synchronize()
    return CallTime(float(start.elapsed_time(end)), enqueue_ms)


TIMERS: Mapping[str, Timer] = {"wall clock": wall_clock, "CUDA events": cuda_events}


def timer_for(device_type: str) -> str:
    """Return the name of the timer for a device type: cpu or cuda."""
    return "CUDA events" if device_type == "cuda" else "wall clock"


def warm_up(
    step: NumberedCall,
    timer: Timer,
    *,
    calls: int = 20,
    min_seconds: float = 0.0,
    max_seconds: float = float("inf"),
    now: Callable[[], float] = time.perf_counter,
) -> WarmUp:
    """Call until the times are flat, after at least `calls` calls and `min_seconds`.

    At most five times either, as a shared machine may never be flat. No further call after
    `max_seconds`, unless fewer than three were made.
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
        times.append(timer(partial(step, len(times))).ms)


class StageClock:
    """A `Clock` that adds up the milliseconds of each stage until they are read.

    On a GPU it waits for the device at both ends of every stage. That forbids the overlap of
    CPU and GPU work, so stages are timed in rounds of their own and their sum is no latency.
    """

    def __init__(self, device_type: str) -> None:
        self._on_gpu = device_type == "cuda"
        self._ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the block as a part of `stage`."""
        self._wait()
        start = time.perf_counter_ns()
        yield
        self._wait()
        self.add(stage, (time.perf_counter_ns() - start) / 1e6)

    def add(self, stage: str, milliseconds: float) -> None:
        """Count milliseconds that were measured elsewhere, as within a CUDA graph."""
        assert stage in STAGES, stage
        self._ms[stage] = self._ms.get(stage, 0.0) + milliseconds

    def take(self) -> dict[str, float]:
        """Return the milliseconds of each stage since the last `take`, and start anew."""
        ms, self._ms = self._ms, {}
        return ms

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()


def cuda_event() -> Any:  # noqa: ANN401 - the methods of torch's events have no types
    """Return an event with a time."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class EventClock(StageClock):
    """A `Clock` that marks both ends of every stage in the device's one stream.

    The host never waits, so what runs is the program that is timed as a whole.
    """

    def __init__(self, event: Callable[[], Any] = cuda_event) -> None:
        super().__init__("cuda")
        self._event = event
        self._marks: list[tuple[str, Any, Any]] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        assert stage in STAGES, stage
        start, end = self._event(), self._event()
        start.record()
        yield
        end.record()
        self._marks.append((stage, start, end))

    def take(self) -> dict[str, float]:
        marks, self._marks = self._marks, []
        if marks:
            marks[-1][2].synchronize()  # the last of the stream: all before it have happened
        for stage, start, end in marks:
            self.add(stage, start.elapsed_time(end))
        return super().take()


def _flat(times: Sequence[float]) -> bool:
    window = max(_WINDOW, len(times) // 4)
    if len(times) < 2 * window:
        return False
    before, after = median(times[-2 * window : -window]), median(times[-window:])
    return before <= 0 or abs(after / before - 1) < _FLAT
