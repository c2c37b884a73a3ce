"""What a sweep would do and cost at most: trainings, or replays of one forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from runners.planning.rates import Throughput
from runners.planning.simulation import ScalingStudy, Task, study_scaling
from runners.planning.suite import resolve_anywhere
from runners.timing.records import TimingLimits
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.space import all_params, changes_of, corners
from yolact_bench.spec.sweep.sweep import SweepSpec
from yolact_bench.training_parts import build_schedule

# Larger spaces are not enumerated; only their corners are used.
_MOST_SETTINGS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """A sweep without what its sampler will choose: numbers are bounds over its space."""

    spec: SweepSpec
    trainings: int  # at most: no pruning is assumed; those already done are not known
    settings: int  # of the space that were looked at
    whole: bool  # whether these are all there are
    cheapest_seconds: float | None  # of one training on one device
    dearest_seconds: float | None
    timing_seconds: float  # at most, on one device
    source: str  # how the rates are known

    def device_seconds(self, of_each: float | None) -> float | None:
        """Return what the trainings take at most if each took that long."""
        return None if of_each is None else self.trainings * of_each


def plan_sweep(
    spec: SweepSpec,
    rates: Throughput,
    place: Workplace,
    *,
    data_root: Path | None,
    timing: TimingLimits,
) -> SweepPlan:
    """Return the plan of a sweep; its data need not be on this machine.

    Raises:
        SpecError: a setting of its space that cannot work.
    """
    runs, whole = [_resolve(spec, spec.run, place, data_root)], True
    if spec.trains:
        settings, whole = _settings(spec)
        runs = [_resolve(spec, run, place, data_root) for run in settings]
    trainings = {run.train_digest: run for run in runs}
    seconds: list[float] = []
    sources: dict[str, None] = {}
    for run in trainings.values():
        rate, schedule = rates.training(run), build_schedule(run)
        if rate is not None:
            seconds.append(rate.seconds(schedule.iterations * schedule.batch_size))
            sources[rate.source] = None
    complete = len(seconds) == len(trainings)
    # A trial is timed beside the base, before its training if it is to keep to a budget.
    trials = spec.trials if spec.needs_times else 0
    return SweepPlan(
        spec=spec,
        trainings=_num_trainings(spec, trainings, place, whole=whole),
        settings=len(runs),
        whole=whole,
        cheapest_seconds=min(seconds) if complete else None,
        dearest_seconds=max(seconds) if complete else None,
        timing_seconds=trials * timing.apply(spec.trial_timing).max_s,
        source=", ".join(sources),
    )


def scale_sweep(
    plan: SweepPlan, numbers: Sequence[int], *, devices: int, efficiency: float | None
) -> ScalingStudy:
    """Simulate a sweep in which every trial is the dearest there is: an upper bound.

    Trials are ready from the start; a sampler that learns has them ready when a device is free.
    Replays, whose time is unknown, are not included.
    """

    def tasks(number: int, speed_up: float) -> list[Task] | None:
        if plan.dearest_seconds is None:
            return None
        each = plan.dearest_seconds / speed_up
        names = tuple(f"dearest trial {row}" for row in range(plan.trainings))
        trials = [Task(key=name, seconds=each, devices=number) for name in names]
        timing = Task(key="timing", seconds=plan.timing_seconds, after=names)
        return [*trials, timing] if plan.timing_seconds else trials

    return study_scaling(tasks, numbers, devices=devices, efficiency=efficiency, titles={})


def _settings(spec: SweepSpec) -> tuple[list[Run], bool]:
    """Return runs of the space: all if they are few, else those at its ends, one change each."""
    every = all_params(spec.space)
    few = [] if every is None else list(islice(every, _MOST_SETTINGS + 1))
    if every is not None and len(few) <= _MOST_SETTINGS:
        return [spec.changed(changes_of(spec.space, params)) for params in few], True
    return [spec.changed(changes) for _, changes in corners(spec.space)], False


def _resolve(spec: SweepSpec, run: Run, place: Workplace, data_root: Path | None) -> Run:
    try:
        return resolve_anywhere(run, place, data_root)[0]
    except SpecError as error:
        raise type(error)(f"{spec.where()}: {error}") from error


def _num_trainings(
    spec: SweepSpec, trainings: Mapping[str, Run], place: Workplace, *, whole: bool
) -> int:
    if not spec.trains:
        return sum(not place.weights(run).is_file() for run in trainings.values())
    return min(spec.trials, len(trainings)) if whole else spec.trials
