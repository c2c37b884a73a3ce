"""The clock of a training: how long it has trained, where the time went; the warm-up before it."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """The steps since the last line of the log; milliseconds are means of one step."""

    images_per_second: float
    step_ms: float  # all but validations and warm-up
    loader_ms: float  # of waiting for the next batch
    host_ms: float  # until the step had returned; on a GPU: until its work was enqueued
    # From the device's beginning of a step to its end, gaps included in which it waits for the
    # host. None without a GPU, or where no step has ended on it.
    device_ms: float | None

    def numbers(self) -> Mapping[str, float]:
        """Return what is known, by name, as in the log."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def text(self) -> str:
        """Return "now 120.5  loader 3%", and on a GPU "host 40%  device 96%", shares of a step."""
        parts = {"loader": self.loader_ms}
        if self.device_ms is not None:
            parts |= {"host": self.host_ms, "device": self.device_ms}
        shares = [f"{name} {ms / max(self.step_ms, 1e-9):.0%}" for name, ms in parts.items()]
        return "  ".join([f"now {self.images_per_second:.1f}", *shares])


class DeviceEvent(Protocol):
    """A place in the order of a device's work, as `torch.cuda.Event`."""

    def record(self) -> None: ...
    def query(self) -> bool: ...
    def elapsed_time(self, end_event: Any) -> Any: ...  # noqa: ANN401 - as torch has it


class DeviceTimes:
    """How long a device was in each step. Nothing here waits for it."""

    def __init__(self, event: Callable[[], DeviceEvent]) -> None:
        self._event = event
        self._steps: deque[tuple[DeviceEvent, DeviceEvent]] = deque()

    @contextmanager
    def step(self) -> Iterator[None]:
        begin, end = self._event(), self._event()
        begin.record()
        yield
        end.record()
        self._steps.append((begin, end))

    def mean_ms(self) -> float | None:
        """Return the mean of the steps that have ended, each once; others count next time."""
        times = []
        while self._steps and self._steps[0][1].query():
            begin, end = self._steps.popleft()
            times.append(begin.elapsed_time(end))
        return sum(times) / len(times) if times else None


class StepClock:
    """Seconds of training, without pauses, and the times of the current interval."""

    def __init__(
        self, device_times: DeviceTimes | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._device_times, self._now = device_times, now
        self.start(0.0)

    def start(self, seconds: float) -> None:
        """Begin, or continue a training that has lasted `seconds`."""
        self._began = self._now() - seconds
        self._begin_interval()

    def _begin_interval(self) -> None:
        self._interval_began = self._now()
        self._steps, self._loader, self._host = 0, 0.0, 0.0

    def seconds(self) -> float:
        """Return for how long the training has lasted."""
        return self._now() - self._began

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out what happens in the context: it is not training time."""
        began = self._now()
        yield
        lasted = self._now() - began
        self._began += lasted
        self._interval_began += lasted

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what happens in the context as waiting for the loader."""
        began = self._now()
        yield
        self._loader += self._now() - began

    @contextmanager
    def step(self) -> Iterator[None]:
        """Count what happens in the context as a step."""
        began = self._now()
        with self._device_times.step() if self._device_times else nullcontext():
            yield
        self._host += self._now() - began
        self._steps += 1

    def end_interval(self, images_per_step: int) -> StepTimes:
        """Return the times since the last call, and begin anew."""
        seconds = max(self._now() - self._interval_began, 1e-9)
        steps = max(self._steps, 1)
        interval = StepTimes(
            images_per_second=self._steps * images_per_step / seconds,
            step_ms=seconds / steps * 1e3,
            loader_ms=self._loader / steps * 1e3,
            host_ms=self._host / steps * 1e3,
            device_ms=None if self._device_times is None else self._device_times.mean_ms(),
        )
        self._begin_interval()
        return interval


def clock_for(device: str) -> StepClock:
    """Return a clock for the steps of a training on that device."""
    if torch.device(device).type != "cuda":
        return StepClock()
    return StepClock(DeviceTimes(partial(torch.cuda.Event, enable_timing=True)))


def warm_up(backward: Callable[[], object], network: nn.Module, device: str) -> float:
    """Run one forward and backward pass that changes gradients alone; return its seconds.

    On a GPU that compiles kernels and chooses convolutions' plans, on any device it compiles the
    network where that was asked for: tens of seconds, which would be in every average that follows.
    """
    began = time.monotonic()
    on_gpu = torch.device(device).type == "cuda"
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with torch.random.fork_rng(devices=[torch.device(device)] if on_gpu else []):
        backward()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    if on_gpu:
        torch.cuda.synchronize(device)
    return time.monotonic() - began
