"""A clock of stages that does not wait for the device, and the check of what it says."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from yolact_bench.clock import STAGES

# Two times of one stage agree if they are this close: relative, or in milliseconds.
_TOLERANCE, _LEAST_MS = 0.1, 0.05


class Event(Protocol):
    """What is used of torch.cuda.Event."""

    def record(self) -> object:
        """Mark this point of the stream."""
        ...

    def synchronize(self) -> object:
        """Wait until the device has passed the mark."""
        ...

    def elapsed_time(self, end: Any) -> float:  # noqa: ANN401 - events know their own kind only
        """Return the milliseconds from this mark to another."""
        ...


def cuda_event() -> Event:
    """Return an event with a time."""
    event: Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    return event


class EventClock:
    """A `Clock` that marks both ends of every stage in the device's one stream.

    The host is never held up, so what runs is the program that is timed as a whole. Read after the
    call.
    """

    def __init__(self, event: Callable[[], Event] = cuda_event) -> None:
        self._event = event
        self._marks: list[tuple[str, Event, Event]] = []
        self._given: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Mark the block as a part of `stage`."""
        assert stage in STAGES, stage
        start, end = self._event(), self._event()
        start.record()
        yield
        end.record()
        self._marks.append((stage, start, end))

    def add(self, stage: str, milliseconds: float) -> None:
        """Count milliseconds, measured by others as within a graph, as a part of `stage`."""
        assert stage in STAGES, stage
        self._given[stage] = self._given.get(stage, 0.0) + milliseconds

    def take(self) -> dict[str, float]:
        """Return the milliseconds of each stage since the last `take`, and start anew."""
        marks, self._marks = self._marks, []
        if marks:
            marks[-1][2].synchronize()  # the last of the stream: all before it have happened
        taken, self._given = self._given, {}
        for stage, start, end in marks:
            taken[stage] = taken.get(stage, 0.0) + start.elapsed_time(end)
        return taken


def disagreements(
    stages: Mapping[str, float], synchronised: Mapping[str, float] | None, call_ms: float
) -> tuple[str, ...]:
    """Return in words where median times of stages contradict each other or the whole call.

    `synchronised` is a second measurement that waits at both ends of every stage; None where
    `stages` is one itself.
    """
    found = [
        f"{stage}: {ms:.2f} ms by events, {synchronised[stage]:.2f} ms when synchronised"
        for stage, ms in stages.items()
        if synchronised is not None and _apart(ms, synchronised[stage])
    ]
    total = sum(stages.values())
    if _apart(total, call_ms):
        found.append(f"the stages sum to {total:.2f} ms, a whole call takes {call_ms:.2f} ms")
    return tuple(found)


def _apart(a: float, b: float) -> bool:
    return abs(a - b) > max(_TOLERANCE * max(a, b), _LEAST_MS)
