"""What a sweep would do and cost at most: trainings, or replays of one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from runners.planning.scaling_study import Scaled, scaled
from runners.planning.simulation import Task
from runners.planning.suite import resolved_anywhere
from runners.planning.throughput import Throughput
from runners.units.workplace import Workplace
from yolact_bench.build import build_schedule
from yolact_bench.errors import SpecError
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.corners import borders
from yolact_bench.spec.sweep.space import all_params, changes_of
from yolact_bench.spec.sweep.sweep import SweepSpec

# Of a space that can be counted so many settings are all looked at; of others, its ends.
_MOST_SETTINGS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """A sweep without what its sampler will choose: numbers are bounds over its space."""

    spec: SweepSpec
    trainings: int  # at most: no pruning is counted on; those already done are not known
    settings: int  # of the space that were looked at
    whole: bool  # whether these are all there are
    cheapest_seconds: float | None  # of one training on one device
    dearest_seconds: float | None
    timing_seconds: float  # at most, on one device
    source: str  # how the rates are known

    def device_seconds(self, of_each: float | None) -> float | None:
        """Return what the trainings take at most if each took so long."""
        return None if of_each is None else self.trainings * of_each


def plan_sweep(
    spec: SweepSpec, rates: Throughput, place: Workplace, *, data_root: Path | None
) -> SweepPlan:
    """Return the plan of a sweep; its data need not be on this machine.

    Raises:
        SpecError: a setting of its space that cannot work.
    """
    base = _resolved(spec, spec.run, data_root)
    runs, whole = [base], True
    if spec.trains:
        chosen, whole = _settings(spec)
        runs = [_resolved(spec, run, data_root) for run in chosen]
    known = {run.train_digest: run for run in runs}
    seconds: list[float | None] = []
    sources: dict[str, None] = {}
    for run in known.values():
        rate, schedule = rates.training(run), build_schedule(run)
        images = schedule.iterations * schedule.batch_size
        seconds.append(None if rate is None else images / rate.per_second)
        if rate is not None:
            sources[rate.source] = None
    found = [value for value in seconds if value is not None]
    complete = len(found) == len(seconds)
    return SweepPlan(
        spec=spec,
        trainings=_num_trainings(spec, known, place, whole=whole),
        settings=len(runs),
        whole=whole,
        cheapest_seconds=min(found) if complete else None,
        dearest_seconds=max(found) if complete else None,
        timing_seconds=_timing_seconds(spec),
        source=", ".join(sources),
    )


def scale_sweep(
    plan: SweepPlan, numbers: Sequence[int], *, devices: int, efficiency: float | None
) -> Scaled:
    """Return schedules in which every trial is the dearest there is: at most that long.

    Trials are taken as ready from the start; a sampler that learns has them ready when a device
    is free. Replays, whose time is not known, are not in it.
    """

    def tasks(number: int, reached: float) -> list[Task] | None:
        if plan.dearest_seconds is None:
            return None
        each = plan.dearest_seconds / (1.0 if number == 1 else number * reached)
        names = [f"dearest trial {row}" for row in range(plan.trainings)]
        made = [Task(key=name, seconds=each, devices=number) for name in names]
        timing = Task(key="timing", seconds=plan.timing_seconds, after=tuple(names))
        return [*made, timing] if plan.timing_seconds else made

    return scaled(tasks, numbers, devices=devices, efficiency=efficiency, titles={})


def _settings(spec: SweepSpec) -> tuple[list[Run], bool]:
    """Return runs of the space: all if they are few, else those at its ends, one change each."""
    every = all_params(spec.space)
    few = [] if every is None else list(islice(every, _MOST_SETTINGS + 1))
    if every is not None and len(few) <= _MOST_SETTINGS:
        return [spec.changed(changes_of(spec.space, params)) for params in few], True
    return [spec.changed(changes) for _, changes in borders(spec.space)], False


def _resolved(spec: SweepSpec, run: Run, data_root: Path | None) -> Run:
    try:
        return resolved_anywhere(run, data_root)[0]
    except SpecError as error:
        raise type(error)(f"{spec.where()}: {error}") from error


def _num_trainings(spec: SweepSpec, known: dict[str, Run], place: Workplace, *, whole: bool) -> int:
    if not spec.trains:
        return sum(not place.weights(run).is_file() for run in known.values())
    return min(spec.trials, len(known)) if whole else spec.trials


def _timing_seconds(spec: SweepSpec) -> float:
    """Every trial is timed beside the base: before its training if it is to keep to a budget."""
    timed = spec.timed or spec.mode == "budget"
    return spec.trials * spec.latency.max_s * len(spec.latency.scenarios) if timed else 0.0
