"""The units of an ablation through an executor: records and curves as they come in."""

import logging
from collections.abc import Sequence

from runners.ablation.context import (
    AblationContext,
    curves_of,
    planned_of,
    standing_failure,
    tell_ap,
)
from runners.arms.job import Executor, Job
from runners.executors.log_follower import LogFollower
from runners.planning.plan import Plan
from runners.system.interrupt import Stopped
from runners.tracking.events import Phase
from runners.units.unit import Unit
from yolact_bench.errors import ArmError
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Accuracy, Failure

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0  # at the curves of running trainings


def carry_out_side_by_side(
    plan: Plan, executor: Executor, bench: AblationContext, manifest: Manifest
) -> None:
    """Bring what has neither a record nor a standing failure to one, through an executor.

    Its workers are gone when this returns: what is timed afterwards has the device for itself.
    """
    jobs = _missing_jobs(plan, bench)
    followers: dict[str, tuple[Job, LogFollower]] = {}
    try:
        for job in jobs:
            _tell_begin(job, bench, manifest)
            if not job.trained:
                followers[job.key] = job, LogFollower(job.folder / "log.jsonl")
            executor.submit(job)
        waiting = len(jobs)
        while waiting:
            done = executor.wait(_SECONDS_BETWEEN_LOOKS)
            for job, follower in followers.values():
                for iteration, points in follower.new():
                    curves_of(job.units[0], bench.tracker)(iteration, points)
            if done is not None:
                if done.stopped:
                    raise Stopped  # somebody else's request: like Ctrl-C, the command goes on later
                followers.pop(done.job.key, None)
                waiting -= 1
                _take(done.job, done.results, bench)
    finally:
        executor.close()


def _tell_begin(job: Job, bench: AblationContext, manifest: Manifest) -> None:
    for row, unit in enumerate(job.units):
        trains = row == 0 and not job.trained
        phase: Phase = "train+evaluate" if trains else "evaluate"
        bench.tracker.arm_started(planned_of(unit, manifest), phase)


def _take(job: Job, results: Sequence[Accuracy | Failure], bench: AblationContext) -> None:
    for unit, result in zip(job.units, results, strict=True):
        bench.brought[unit.arm, unit.seed] = result
        bench.store.add(result)
        if isinstance(result, Failure):
            log.error("%s: failed (%s): %s", unit.title, result.kind, result.message)
            bench.tracker.log_failure(result)
            if result.phase == "train":  # units of the same detections have not been asked for
                lost = ArmError(result.kind, result.message)
                bench.failed_trainings.setdefault(result.train_digest, lost)
            continue
        tell_ap(unit, result)
        bench.tracker.log_accuracy(result)


def _missing_jobs(plan: Plan, bench: AblationContext) -> list[Job]:
    """Return a job for each training of which a unit is missing; no detections are made twice."""
    missing: dict[str, dict[str, Unit]] = {}
    for step in plan.steps:
        run = step.unit.run
        if bench.store.accuracy(run.detect_digest) is None and not standing_failure(
            step.unit, bench
        ):
            missing.setdefault(run.train_digest, {}).setdefault(run.detect_digest, step.unit)
    return [
        Job(units=tuple(units.values()), place=bench.place, sizes=bench.sizes)
        for units in missing.values()
    ]
