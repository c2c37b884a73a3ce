"""A function of tensors recorded as a graph: a replay repeats its work on the same memory.

Recording runs a function once while the device notes its work; a replay does that work again
without the host. What records is an argument, so that all of this runs, and is tested, without
such a device.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from yolact_bench.clock import Clock, TakesTimes, no_clock
from yolact_bench.runtime.runtime import GraphStep, Program

log = logging.getLogger(__name__)

Replay = Callable[[], object]
# What is to be recorded, and the same to be run before, when libraries choose and compile.
Recorder = Callable[[Callable[[], None], Callable[[], None]], Replay]


@runtime_checkable
class Event(Protocol):
    """What is used of torch.cuda.Event."""

    def record(self) -> object:
        """Mark this point of the stream."""

    def synchronize(self) -> object:
        """Wait until the device has passed the mark."""

    def elapsed_time(self, end: Any) -> float:  # noqa: ANN401 - events know their own kind only
        """Return the milliseconds from this mark to another."""


class RecordedStep:
    """A function of a program and a batch, recorded once for each shape of the batch."""

    def __init__(
        self,
        function: GraphStep,
        *,
        record: Recorder,
        event: Callable[[], Event],
        hold: Callable[[Tensor], Tensor] = Tensor.clone,
    ) -> None:
        """Record by `record`; a recording reads its batch from what `hold` makes of the first.

        Where that is the batch itself, the caller writes the next batch into the same memory.
        """
        self._function, self._record, self._event = function, record, event
        self._hold = hold
        self._program: Program | None = None
        self._recorded: dict[object, _Recording] = {}

    def __call__(self, program: Program, batch: Tensor, clock: Clock = no_clock) -> Any:  # noqa: ANN401
        """Return what the function returns; the next call with this shape overwrites it.

        For a clock a separate graph has marks around every stage, so that the other has none; the
        clock must accept times measured elsewhere.
        """
        if program is not self._program:  # what was recorded is of another one
            self._program, self._recorded = program, {}
        timed = clock is not no_clock
        assert not timed or isinstance(clock, TakesTimes), f"{clock} cannot time within a graph"
        with torch.cuda.device(batch.device) if batch.is_cuda else nullcontext():
            key = batch.shape, batch.dtype, timed
            if key not in self._recorded:
                self._recorded[key] = self._recording(program, batch, timed=timed)
            recording = self._recorded[key]
            if recording.batch is not batch:
                recording.batch.copy_(batch)
            recording.replay()
        if isinstance(clock, TakesTimes):
            for stage, milliseconds in recording.clock.take().items():
                clock.add(stage, milliseconds)
        return recording.outcomes[-1]

    def _recording(self, program: Program, batch: Tensor, *, timed: bool) -> "_Recording":
        log.info("recording a graph for %s", "×".join(map(str, batch.shape)))
        static = self._hold(batch)
        clock = GraphClock(self._event)
        outcomes: list[object] = []

        def run() -> None:
            outcomes.append(self._function(program, static, clock if timed else no_clock))

        def warm_up() -> None:
            self._function(program, static, no_clock)

        replay = self._record(run, warm_up)
        return _Recording(batch=static, outcomes=outcomes, replay=replay, clock=clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    batch: Tensor  # where a replay looks for its input
    outcomes: list[object]  # of every run; a graph runs once and then fills the same memory
    replay: Replay
    clock: "GraphClock"


class GraphClock:
    """A `Clock` whose marks become part of the graph that is being recorded."""

    def __init__(self, event: Callable[[], Event]) -> None:
        self._event = event
        self._marks: list[tuple[str, Event, Event]] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Mark the block as a part of `stage`."""
        start, end = self._event(), self._event()
        start.record()
        yield
        end.record()
        self._marks.append((stage, start, end))

    def take(self) -> dict[str, float]:
        """Return the milliseconds of each stage in the last replay, when it has ended."""
        if self._marks:
            self._marks[-1][2].synchronize()
        taken: dict[str, float] = {}
        for stage, start, end in self._marks:
            taken[stage] = taken.get(stage, 0.0) + start.elapsed_time(end)
        return taken
