"""Time the detectors of several arms together, in one process, on the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from runners.latency import TIMERS, StageClock, Step, time_together, timer_for, warm_up
from yolact_bench.clock import STAGES, Clock, no_clock
from yolact_bench.detector import Detector

Image = NDArray[np.uint8]  # RGB [H, W, 3]
Images = Sequence[tuple[int, Image]]  # with image ids


class TimingError(RuntimeError):
    """One arm could not be timed; `__cause__` says why. No time of its session is kept."""

    def __init__(self, arm: str) -> None:
        super().__init__(f"{arm} could not be timed")
        self.arm = arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times of one arm; of one session with every other arm of the same call of `measure`."""

    timer: str
    samples_ms: tuple[float, ...]  # one a round
    image_ids: tuple[int, ...]  # of the image of each round, the same for every arm
    stages_ms: Mapping[str, tuple[float, ...]]  # one a stage round, whose sum is no sample
    warmup: int  # calls before the first sample
    peak_memory_mb: float | None  # weights and the most that one call needs; None on CPU


def measure(
    detectors: Mapping[str, Detector],
    images: Images,
    *,
    rounds: int = 100,
    max_seconds: float = 300.0,
    warmup: int = 10,
    seed: int = 0,
) -> Mapping[str, Measured]:
    """Return the times of every detector, batch of one, from decoded image to full-size masks.

    In each round every detector is timed once, in a freshly drawn order, on the round's image;
    images rotate. There are `rounds` rounds, or as many as fit into `max_seconds`, but at
    least ten. Warm-up may take a quarter of that time more, and the split into stages, timed
    in a fifth as many rounds of its own, another quarter.

    Raises:
        TimingError: a detector failed.

    Source: the shape of MLPerf Inference's single-stream scenario (arXiv:1911.02549), with the
    arms interleaved.
    """
    assert detectors and images
    device = _common_device(detectors)
    timer = timer_for(device.type)
    steps = {name: _step(name, detector, images, no_clock) for name, detector in detectors.items()}
    share = max_seconds / 4 / len(steps)
    warmups = {
        name: warm_up(step, TIMERS[timer], calls=warmup, max_seconds=share)
        for name, step in steps.items()
    }
    samples = time_together(
        steps, TIMERS[timer], rounds=rounds, warmup=0, seed=seed, max_seconds=max_seconds
    )
    stages = _stages(
        detectors, images, device, rounds=max(1, rounds // 5), seconds=max_seconds / 4, seed=seed
    )
    return {
        name: Measured(
            timer=timer,
            samples_ms=tuple(samples[name]),
            image_ids=tuple(images[n % len(images)][0] for n in range(len(samples[name]))),
            stages_ms=stages[name],
            warmup=warmups[name],
            peak_memory_mb=_peak_memory_mb(detector, images, device),
        )
        for name, detector in detectors.items()
    }


def _step(name: str, detector: Detector, images: Images, clock: Clock) -> Step:
    def step(number: int) -> object:
        try:
            return detector([images[number % len(images)][1]], clock)
        except Exception as error:
            raise TimingError(name) from error

    return step


def _common_device(detectors: Mapping[str, Detector]) -> torch.device:
    devices = {detector.device for detector in detectors.values()}
    assert len(devices) == 1, f"times of different devices do not compare: {devices}"
    return devices.pop()


def _stages(
    detectors: Mapping[str, Detector],
    images: Images,
    device: torch.device,
    *,
    rounds: int,
    seconds: float,
    seed: int,
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the milliseconds of each stage in each round, alternating as the samples do.

    A stage that a round did not enter, for want of detections, took 0 ms in it.
    """
    clock = StageClock(device.type)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in detectors}

    def timed(name: str) -> Step:
        step = _step(name, detectors[name], images, clock)

        def take(number: int) -> None:
            step(number)
            taken[name].append(clock.take())

        return take

    steps = {name: timed(name) for name in detectors}
    timer = TIMERS["wall clock"]  # its result is not used: the stages are the measurement
    time_together(steps, timer, rounds=rounds, warmup=0, seed=seed, max_seconds=seconds)
    return {
        name: {
            stage: tuple(in_round.get(stage, 0.0) for in_round in in_rounds)
            for stage in STAGES
            if any(stage in in_round for in_round in in_rounds)
        }
        for name, in_rounds in taken.items()
    }


def _peak_memory_mb(detector: Detector, images: Images, device: torch.device) -> float | None:
    """Return what this arm alone would hold: its weights and the peak of one call above rest.

    The detectors of all arms are on the device together, so the device's own peak counts
    the weights of the others too.
    """
    if device.type != "cuda":
        return None
    tensors = [*detector.network.parameters(), *detector.network.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    peak = 0
    for _, image in images[:8]:
        at_rest = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        detector([image], no_clock)
        peak = max(peak, torch.cuda.max_memory_allocated(device) - at_rest)
    return (weights + peak) / 2**20
