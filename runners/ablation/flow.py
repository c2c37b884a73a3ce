"""The flow: a spec becomes records. What is finished is skipped, by digest."""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runners.ablation.context import AblationContext
from runners.ablation.latency_gate import drop_arms, drop_slow_arms
from runners.ablation.sessions import time_arms
from runners.arms.external.plan import adopt_files
from runners.arms.finish import analyse
from runners.arms.job import Job
from runners.arms.train import report_small_objects
from runners.executors import Executor
from runners.executors.in_process import InProcessExecutor
from runners.executors.log_follower import LogFollower
from runners.planning.plan import Plan, manifest_of
from runners.system.environment import environment
from runners.system.interrupt import TrainingStop
from runners.tracking.events import Phase
from runners.units.known_data import unrecorded_images
from runners.units.unit import Work, planned_run
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError
from yolact_bench.findings import NO_CELL
from yolact_bench.results.manifest import Manifest, save
from yolact_bench.work_names import LOG, REPORTS, inside

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0  # at the curves of running trainings


def run_ablation(plan: Plan, context: AblationContext, *, command: str) -> Manifest:
    """Bring every arm of a plan to a record, or to a failure with its reason.

    The plan has been checked as a whole, so a typo in the last arm has stopped it before the
    first could train. After a crash, or after adding an arm, the same command does only what
    is missing. The report is built from the records alone.
    """
    open_data(plan, context.place)
    unrecorded = unrecorded_images((step.unit for step in plan.steps), context.place)
    manifest = replace(manifest_of(plan, command=command), unrecorded_images=unrecorded)
    folder = inside(context.place.work_dir / REPORTS, manifest.name)
    if context.latency_first:
        dropped = drop_slow_arms(plan, context.place, folder, timing=context.timing)
        manifest, plan = replace(manifest, dropped=dropped), drop_arms(plan, dropped)
    save(manifest, folder)
    errors = "errors" in manifest.measure
    spec = Path(plan.ablation.file)
    env = environment(context.place.device)
    with context.tracker.execution(manifest, spec=spec, env=env):
        executor = context.executor or InProcessExecutor(context.log_curves)
        finish_units([step.unit for step in plan.steps], executor, context, errors=errors)
        rows = [step.unit for step in plan.external]
        finish_units(rows, InProcessExecutor(), context, errors=errors)
        # Times compare only within one session: a single new arm means timing them all again.
        if "latency" in manifest.measure:
            time_arms(plan, context)
    return manifest


def open_data(plan: Plan, place: Workplace) -> None:
    """Read all annotations that will be needed: their mistakes must show before a training."""
    place.datasets.open_all(
        (step.unit.data, split)
        for step in plan.steps
        for split, is_needed in (("train", step.trains), (step.unit.split, step.is_missing))
        if is_needed
    )
    if place.datasets.is_error(NO_CELL):  # in a training it would be the failure of an arm
        trained = (step.unit for step in plan.steps if step.trains)
        for unit in {(one.run.train_data, one.run.image_size): one for one in trained}.values():
            report_small_objects(unit, place)
    adopt_files(plan.external, place)


def finish_units(
    units: Sequence[Work], executor: Executor, context: AblationContext, *, errors: bool
) -> None:
    """Bring units to a record or a failure; those that have one are announced and completed.

    With `errors` the errors of each unit are analysed too.

    Workers are gone when this returns: what is timed afterwards has the device for itself.
    """
    missing = [unit for unit in units if context.is_missing(unit)]
    for unit in units:
        if unit not in missing:
            reuse(unit, context, errors=errors)
    jobs = _jobs(missing, context, errors=errors)
    try:
        _finish_jobs(jobs, executor, context)
    finally:
        executor.close()
    for unit in missing:
        if not any(unit in job.units for job in jobs):
            reuse(unit, context, errors=errors)  # it has the same detections as another


def reuse(unit: Work, context: AblationContext, *, errors: bool) -> None:
    """Announce a unit with the record or failure of its detections; complete its analyses.

    The work may have been done for another arm or ablation; here the record is this unit's.
    """
    tracker, store = context.tracker, context.store
    accuracy = store.accuracy(unit.detect_digest)
    tracker.arm_started(planned_run(unit), "evaluate" if accuracy is None else "reuse")
    if accuracy is None:
        failures = store.failures([unit.detect_digest], measure=())
        if not failures:
            raise ArmError(
                "no_record",
                f"{unit.title}: its job ended with neither an accuracy nor a failure; run the same "
                "command again, and report this as a bug of yolact-bench",
            )
        failure = failures[-1]
        log.warning("%s: failed before (%s); --retry-failed repeats it", unit.title, failure.kind)
        tracker.log_record(replace(failure, arm=unit.arm, seed=unit.seed))
        return
    tracker.log_record(replace(accuracy, arm=unit.arm, seed=unit.seed))
    errors = errors and store.errors(unit.detect_digest) is None
    errors = errors and not context.failed(unit, "errors")
    job = Job(units=[unit], place=context.place, sizes=context.sizes, errors=errors)
    for record in analyse(unit, job):
        context.keep(record)


def _jobs(units: Sequence[Work], context: AblationContext, *, errors: bool) -> list[Job]:
    """Return a job for each training of which a unit is missing; no detections are made twice."""
    trainings: dict[str, dict[str, Work]] = {}
    for unit in units:
        trainings.setdefault(unit.train_digest, {}).setdefault(unit.detect_digest, unit)
    return [
        Job(units=list(one.values()), place=context.place, sizes=context.sizes, errors=errors)
        for one in trainings.values()
    ]


def _finish_jobs(jobs: Sequence[Job], executor: Executor, context: AblationContext) -> None:
    waiting = deque(jobs)
    running: dict[str, tuple[Job, LogFollower | None]] = {}
    while waiting or running:
        while waiting and len(running) < executor.slots:
            job = waiting.popleft()
            follows = job.trains and not executor.in_process
            follower = LogFollower(job.folder / LOG) if follows else None
            running[job.key] = job, follower
            _announce(job, context)
            executor.submit(job)
        result = executor.wait(_SECONDS_BETWEEN_LOOKS)
        for job, follower in running.values():
            _log_curves(job, follower, context)
        if result is None:
            continue
        if result.stopped:
            raise TrainingStop  # by a request from elsewhere; like Ctrl-C, it can be continued
        for record in result.records:
            context.keep(record)
        if result.over:
            del running[result.job.key]


def _announce(job: Job, context: AblationContext) -> None:
    trains = job.trains
    for unit in job.units:
        phase: Phase = "train+evaluate" if trains and unit is job.units[0] else "evaluate"
        context.tracker.arm_started(planned_run(unit), phase)


def _log_curves(job: Job, follower: LogFollower | None, context: AblationContext) -> None:
    for iteration, points in follower.new() if follower else ():
        context.log_curves(job.units[0], iteration, points)
