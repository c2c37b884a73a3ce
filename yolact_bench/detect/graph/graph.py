"""A detector recorded as one graph: an image batch in, detections of fixed number out.

Recording runs a function once while the device notes what it is given to do; a replay does it
again on the same memory, without the host. What records is an argument, so that all of this
runs, and is tested, without such a device.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from yolact_bench.clock import Clock, TakesTimes, no_clock
from yolact_bench.detect.graph.fixed import FixedFound
from yolact_bench.detect.pipeline import Found
from yolact_bench.geometry.boxes import to_pixels
from yolact_bench.shapes import Predictions

log = logging.getLogger(__name__)

Replay = Callable[[], object]
# What is to be recorded, and the same to be run before, when libraries choose and compile.
Recorder = Callable[[Callable[[], None], Callable[[], None]], Replay]

WARM_UPS = 3


@runtime_checkable
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a graph leaves on the device, in memory that its next replay overwrites."""

    predictions: Predictions
    found: FixedFound
    state: Int64[Tensor, "B 2"]  # how many rows are not empty; 1 where they are exact


class GraphedDetection:
    """A detector as a function of network and batch, recorded once for each shape of the batch."""

    def __init__(
        self,
        function: Callable[[nn.Module, Tensor, Clock], Outcome],
        *,
        record: Recorder | None = None,
        event: Callable[[], Event] | None = None,
    ) -> None:
        self._function = function
        self._record, self._event = record or record_cuda_graph, event or graph_event
        self._network: nn.Module | None = None
        self._recorded: dict[object, _Recording] = {}

    def __call__(
        self, network: nn.Module, batch: Float[Tensor, "B 3 S S"], clock: Clock = no_clock
    ) -> Outcome:
        """Return what the function returns; the next call with this shape overwrites it.

        For a clock there is a graph of its own with marks around every stage, with which the
        other is not burdened; the clock must take times that others have measured.
        """
        if network is not self._network:  # what was recorded is of another one
            self._network, self._recorded = network, {}
        timed = clock is not no_clock
        assert not timed or isinstance(clock, TakesTimes), f"{clock} cannot time within a graph"
        with _on(batch.device):
            key = batch.shape, batch.dtype, timed
            if key not in self._recorded:
                self._recorded[key] = self._recording(network, batch, timed=timed)
            recording = self._recorded[key]
            recording.batch.copy_(batch)
            recording.replay()
        if isinstance(clock, TakesTimes):
            for stage, milliseconds in recording.clock.take().items():
                clock.add(stage, milliseconds)
        return recording.outcomes[-1]

    def _recording(self, network: nn.Module, batch: Tensor, *, timed: bool) -> "_Recording":
        log.info("recording the detector for %s", "×".join(map(str, batch.shape)))
        static = batch.clone()
        clock = GraphClock(self._event)
        outcomes: list[Outcome] = []

        def run() -> None:
            outcomes.append(self._function(network, static, clock if timed else no_clock))

        def warm_up() -> None:
            self._function(network, static, no_clock)

        replay = self._record(run, warm_up)
        return _Recording(batch=static, outcomes=outcomes, replay=replay, clock=clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    batch: Tensor  # where a replay looks for its input
    outcomes: list[Outcome]  # of every run; a graph runs once and then fills the same memory
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


def _on(device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def state_of(found: FixedFound) -> Int64[Tensor, "B 2"]:
    """Return what the host must know of each image, in one tensor: it then waits once."""
    return torch.stack([(found.scores > 0).sum(1), found.exact.long()], 1)


def taken_from(
    found: FixedFound, index: int, count: int, height: int, width: int, *, mask_threshold: float
) -> Found:
    """Return a copy of the first `count` detections in one image, which are all; nothing waits."""
    boxes = found.boxes[index, :count].clone()
    return Found(
        boxes=boxes,
        boxes_px=to_pixels(boxes, height, width),
        scores=found.scores[index, :count].clone(),
        mask_scores=found.mask_scores[index, :count].clone(),
        labels=found.labels[index, :count].clone(),
        soft_masks=found.soft_masks[index, :count].clone(),
        height=height,
        width=width,
        mask_threshold=mask_threshold,
    )


def record_cuda_graph(run: Callable[[], None], warm_up: Callable[[], None]) -> Replay:
    """Return the replay of a CUDA graph of `run`, after `warm_up` on a stream of its own.

    Source: PyTorch's notes on CUDA semantics, section "CUDA Graphs".
    """
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            warm_up()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def graph_event() -> Event:
    """Return an event with a time, whose mark a graph records as one of its own."""
    event: Event = torch.cuda.Event(enable_timing=True, external=True)  # type: ignore[no-untyped-call]
    return event
