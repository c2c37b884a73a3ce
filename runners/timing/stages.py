"""How long each stage of a call takes, from rounds of their own."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean, median

from runners.timing.clocks import StageClock, Step, time_together, wall_ms
from runners.timing.event_clock import EventClock, disagreements
from runners.timing.scenarios import Setup, Timed, detections_in
from yolact_bench.clock import STAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """The stages of one arm."""

    stages_ms: Mapping[str, tuple[float, ...]]  # one a round
    synchronised_ms: Mapping[str, float]  # medians of a second pass; empty on a CPU
    notes: tuple[str, ...]  # where two measurements contradict each other
    detections: float | None  # mean in a call; None where raw predictions are the end


@dataclass(slots=True)
class _Pass:
    """What one arm's rounds with one clock gave."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)
    calls_ms: list[float] = field(default_factory=list)

    def gap_ms(self) -> float:
        """Return what calls took beyond their stages, median."""
        pairs = zip(self.calls_ms, self.rounds, strict=True)
        return median(call - sum(stages.values()) for call, stages in pairs)

    def stages(self) -> dict[str, tuple[float, ...]]:
        """Return stage → milliseconds in each round; 0 in one that did not enter it."""
        return {
            stage: tuple(in_round.get(stage, 0.0) for in_round in self.rounds)
            for stage in STAGES
            if any(stage in in_round for in_round in self.rounds)
        }


def stage_times(
    arms: Mapping[str, tuple[Setup, Timed]],
    samples_ms: Mapping[str, Sequence[float]],
    device_type: str,
    *,
    rounds: int,
    seconds: float,
    seed: int,
) -> dict[str, StageTimes]:
    """Return the stages of every arm, in alternating rounds.

    On a GPU events mark the stages in its stream while calls run on as they do when timed as a
    whole; a second pass waits at both ends of every stage, and what differs is noted. Each may
    take half of `seconds`. `samples_ms` are the times of whole calls.
    """
    half = seconds / 2 if device_type == "cuda" else seconds
    timed = partial(_timed, arms, rounds=rounds, seconds=half, seed=seed)
    waiting = timed(lambda: StageClock(device_type))
    events = timed(EventClock) if device_type == "cuda" else waiting
    found = {}
    for name, of_arm in events.items():
        stages = of_arm.stages()
        medians = {stage: median(ms) for stage, ms in stages.items()}
        second = {stage: median(ms) for stage, ms in waiting[name].stages().items()}
        on_gpu = device_type == "cuda"
        found[name] = StageTimes(
            stages_ms=stages,
            synchronised_ms=second if on_gpu else {},
            # A busy CPU changes from minute to minute: its stages belong to their own rounds.
            notes=disagreements(
                medians,
                second if on_gpu else None,
                median(samples_ms[name]) if on_gpu else sum(medians.values()) + of_arm.gap_ms(),
            ),
            detections=fmean(of_arm.detections) if of_arm.detections else None,
        )
    return found


def _timed(
    arms: Mapping[str, tuple[Setup, Timed]],
    clock_of: Callable[[], StageClock | EventClock],
    *,
    rounds: int,
    seconds: float,
    seed: int,
) -> dict[str, _Pass]:
    passes = {name: _Pass() for name in arms}
    clock = clock_of()

    def step_of(name: str) -> Step:
        setup, call = arms[name]

        def take(number: int) -> None:
            setup.prepare(number)
            start = time.perf_counter_ns()
            result = call(number, clock)
            passes[name].calls_ms.append((time.perf_counter_ns() - start) / 1e6)
            passes[name].rounds.append(clock.take())
            count = detections_in(result)
            passes[name].detections += [] if count is None else [count]

        return take

    steps = {name: step_of(name) for name in arms}
    # The timer's result is not used: the stages are the measurement.
    time_together(steps, wall_ms, rounds=rounds, warmup=0, seed=seed, max_seconds=seconds)
    return passes
