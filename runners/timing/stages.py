"""How long each stage of a call takes, from rounds of their own."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean, median

from runners.timing.calls import PreparedArm, detections_in
from runners.timing.clocks import EventClock, StageClock, wall_clock
from runners.timing.rounds import RoundOptions, alternate
from yolact_bench.clock import STAGES

# Two times of one stage agree if they are this close: relative, or in milliseconds.
_TOLERANCE, _LEAST_MS = 0.1, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """The stages of one arm."""

    stages_ms: Mapping[str, tuple[float, ...]]  # one a round
    synchronised_ms: Mapping[str, float]  # medians of a second pass; empty on a CPU
    notes: tuple[str, ...]  # where two measurements contradict each other
    detections: float | None  # mean of a call; None where raw predictions are the end


@dataclass(slots=True)
class _Pass:
    """The rounds of one arm with one clock."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)
    gaps_ms: list[float] = field(default_factory=list)  # of each call outside of all stages

    def stages(self) -> dict[str, tuple[float, ...]]:
        """Stage → milliseconds in each round; 0 in one that did not enter it."""
        return {
            stage: tuple(in_round.get(stage, 0.0) for in_round in self.rounds)
            for stage in STAGES
            if any(stage in in_round for in_round in self.rounds)
        }

    def medians(self) -> dict[str, float]:
        return {stage: median(ms) for stage, ms in self.stages().items()}


def stage_times(
    arms: Mapping[str, PreparedArm],
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
    on_gpu = device_type == "cuda"
    share = seconds / 2 if on_gpu else seconds
    options = RoundOptions(max_rounds=rounds, max_seconds=share, seed=seed)
    waiting = _run(arms, StageClock(device_type), options)
    events = _run(arms, EventClock(), options) if on_gpu else waiting
    times = {}
    for name, run in events.items():
        medians, second = run.medians(), waiting[name].medians()
        times[name] = StageTimes(
            stages_ms=run.stages(),
            synchronised_ms=second if on_gpu else {},
            # A busy CPU changes from minute to minute: its stages belong to their own rounds.
            notes=disagreements(
                medians,
                second if on_gpu else None,
                median(samples_ms[name]) if on_gpu else sum(medians.values()) + median(run.gaps_ms),
            ),
            detections=fmean(run.detections) if run.detections else None,
        )
    return times


def disagreements(
    stages: Mapping[str, float], synchronised: Mapping[str, float] | None, call_ms: float
) -> tuple[str, ...]:
    """Return in words where median times of stages contradict each other or the whole call.

    `synchronised` is a second measurement that waits at both ends of every stage; None where
    `stages` is one itself.
    """
    notes = [
        f"{stage}: {ms:.2f} ms by events, {synchronised[stage]:.2f} ms when synchronised"
        for stage, ms in stages.items()
        if synchronised is not None and _differ(ms, synchronised[stage])
    ]
    total = sum(stages.values())
    if _differ(total, call_ms):
        notes.append(f"the stages sum to {total:.2f} ms, a whole call takes {call_ms:.2f} ms")
    return tuple(notes)


def _differ(a: float, b: float) -> bool:
    return abs(a - b) > max(_TOLERANCE * max(a, b), _LEAST_MS)


def _run(
    arms: Mapping[str, PreparedArm], clock: StageClock, options: RoundOptions
) -> dict[str, _Pass]:
    passes = {name: _Pass() for name in arms}

    def step(name: str, number: int) -> None:
        own = passes[name]
        start = time.perf_counter_ns()
        result = arms[name].call(number, clock)
        call_ms = (time.perf_counter_ns() - start) / 1e6
        own.rounds.append(clock.take())
        own.gaps_ms.append(call_ms - sum(own.rounds[-1].values()))
        detections = detections_in(result)
        if detections is not None:
            own.detections.append(sum(map(len, detections)))

    # The timer's result is not used: the stages are the measurement.
    steps = {name: partial(step, name) for name in arms}
    alternate(steps, wall_clock, options, prepare=lambda name, number: arms[name].prepare(number))
    return passes
