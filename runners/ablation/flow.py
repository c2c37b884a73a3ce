"""The flow: a spec becomes records. What is finished is skipped, by digest."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runners.ablation.context import (
    AblationContext,
    curves_of,
    planned_of,
    standing_failure,
    tell_ap,
)
from runners.ablation.latency_gate import latency_first, without
from runners.ablation.parallel import carry_out_side_by_side
from runners.arms.analyse import ensure_errors
from runners.arms.evaluate import evaluate_unit
from runners.arms.external.row import adopt_files, bring_external_to_record
from runners.arms.failure import failure_kind, failure_record, free_memory
from runners.arms.job import predict_as_one, resample_or_say
from runners.arms.train import ensure_trained
from runners.planning.plan import Plan, Step, manifest_of, session_of
from runners.system.environment import environment
from runners.timing.calls import TimingError
from runners.timing.records import time_units
from runners.tracking.events import Phase
from runners.training.run import Trained
from runners.units.device_checks import check_runtime
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError
from yolact_bench.results.manifest import Manifest, save
from yolact_bench.results.record import Accuracy, Latency

log = logging.getLogger(__name__)


def run_ablation(plan: Plan, bench: AblationContext, *, command: str) -> Manifest:
    """Bring every arm of a plan to a finished record, or to a failure with its reason.

    The plan has been checked as a whole, so a typo in the last arm has stopped it before the
    first could train. After a crash, or after adding an arm, the same command does only what
    is missing.
    """
    _open_data(plan, bench.place)
    manifest = manifest_of(plan, command=command)
    folder = bench.place.work_dir / "reports" / manifest.name
    if bench.latency_first:
        dropped = latency_first(plan, bench.place, bench.store, folder, timing=bench.timing)
        manifest, plan = replace(manifest, dropped=dropped), without(plan, dropped)
    save(manifest, folder)
    _tell_start(plan, manifest, bench)
    try:
        if bench.executor is not None:
            carry_out_side_by_side(plan, bench.executor, bench, manifest)
        for step in plan.steps:
            bring_to_record(step, plan, bench, manifest)
        for other in plan.external:
            bring_external_to_record(other, bench, errors="errors" in manifest.measure)
        # Times compare only within one session: a single new arm means timing them all again.
        if "latency" in manifest.measure:
            time_arms(plan, bench)
    except BaseException:
        bench.tracker.finish("KILLED")
        raise
    bench.tracker.finish("FINISHED")
    return manifest


def _open_data(plan: Plan, place: Workplace) -> None:
    """Read all annotations that will be needed: their mistakes must show before a training."""
    for step in plan.steps:
        if step.trains:
            place.datasets.open(step.unit.data, "train")
        if not step.evaluated:
            place.datasets.open(step.unit.data, step.unit.split)
    adopt_files(plan.external, place)


def bring_to_record(step: Step, plan: Plan, bench: AblationContext, manifest: Manifest) -> None:
    """Train and evaluate one unit unless its record is there, or it has failed before.

    The first unit of those that share a forward pass leaves the predictions of all.
    """
    unit, store, tracker = step.unit, bench.store, bench.tracker
    brought = bench.brought.get((unit.arm, unit.seed))
    if brought is not None:
        if isinstance(brought, Accuracy):
            _analyse(unit, bench, manifest)
        return
    planned = planned_of(unit, manifest)
    accuracy = store.accuracy(unit.run.detect_digest)
    failed = standing_failure(unit, bench)
    phase: Phase = "train+evaluate" if step.trains and not failed else "evaluate"
    tracker.arm_started(planned, "reuse" if accuracy else phase)
    if failed is not None:
        log.warning("%s: failed before (%s); --retry-failed tries again", unit.title, failed.kind)
        tracker.log_failure(failed)
        return
    if accuracy is None:
        stage = "evaluate"
        try:
            check_runtime(unit.run, bench.place.device)
            stage = "train"
            training = _train(unit, bench)
            stage = "evaluate"
            predict_as_one(_sharing(unit, plan, bench), bench.place)
            accuracy = evaluate_unit(unit, bench.place, training)
        except Exception as error:
            _record_failure(unit, bench, stage, error)
            return
        store.add(accuracy)
        tell_ap(unit, accuracy)
    # The work may have been done for another arm or ablation; here it is this unit's.
    tracker.log_accuracy(replace(accuracy, arm=unit.arm, seed=unit.seed))
    _analyse(unit, bench, manifest)


def _analyse(unit: Unit, bench: AblationContext, manifest: Manifest) -> None:
    """Resample the images and, if it is measured, split the errors."""
    resample_or_say(unit, bench.place, sizes=bench.sizes)
    if "errors" not in manifest.measure or standing_failure(unit, bench, ("errors",)):
        return
    try:
        ensure_errors(unit, bench.place, bench.store)
    except Exception as error:
        _record_failure(unit, bench, "errors", error)


def _train(unit: Unit, bench: AblationContext) -> Trained:
    """Train the unit, or find it trained, or found to be impossible a moment ago."""
    digest = unit.run.train_digest
    before = bench.failed_trainings.get(digest)
    if before is not None:
        raise ArmError(before.kind, str(before))
    try:
        return ensure_trained(unit, bench.place, on_log=curves_of(unit, bench.tracker))
    except Exception as error:
        message = f"the training, shared with {unit.title}, failed: {error}"
        bench.failed_trainings[digest] = ArmError(failure_kind(error), message)
        raise


def _record_failure(unit: Unit, bench: AblationContext, phase: str, error: Exception) -> None:
    failure = failure_record(unit, bench.place, phase, error)
    log.error("%s: failed (%s): %s", unit.title, failure.kind, failure.message)
    bench.store.add(failure)
    bench.tracker.log_failure(failure)
    free_memory()


def _sharing(unit: Unit, plan: Plan, bench: AblationContext) -> list[Unit]:
    """The unit, then those that need the same forward pass and have neither record nor failure."""
    others = [
        step.unit
        for step in plan.steps
        if step.unit.run.forward_digest == unit.run.forward_digest
        and step.unit.run.detect_digest != unit.run.detect_digest
        and bench.store.accuracy(step.unit.run.detect_digest) is None
        and standing_failure(step.unit, bench) is None
    ]
    return list({u.run.detect_digest: u for u in [unit, *others]}.values())


def time_arms(plan: Plan, bench: AblationContext) -> None:
    """Time all arms that have a result, in one session for each scenario, unless that is there.

    An arm that cannot be timed becomes a failure, and the others are timed without it.
    """
    for scenario in plan.ablation.latency.scenarios:
        units = [s.unit for s in plan.steps if s.unit.seed == plan.ablation.seeds[0]]
        units = [u for u in units if bench.store.accuracy(u.run.detect_digest) is not None]
        units = [u for u in units if standing_failure(u, bench, ("latency",)) is None]
        units, times = _timed_in(scenario, units, plan, bench)
        for unit in units:
            latency = times[unit.run.detect_digest]
            bench.tracker.log_latency(replace(latency, arm=unit.arm, seed=unit.seed))


def _timed_in(
    scenario: str, units: list[Unit], plan: Plan, bench: AblationContext
) -> tuple[list[Unit], Mapping[str, Latency]]:
    """The units that could be timed, and their times: of an earlier session, or of a new one."""
    how = plan.ablation.latency
    while units:
        session = session_of(plan.ablation, scenario, units, bench.store)
        if session is not None:
            return units, session.records
        bench.tracker.drain()  # its thread would be timed too
        try:
            timed = time_units(
                units,
                scenario,
                how=bench.timing.of(how),
                baseline=plan.ablation.baseline,
                rounds=bench.timing.rounds,
                place=bench.place,
            )
        except TimingError as error:
            cause = error.__cause__
            assert isinstance(cause, Exception)
            failed = next(u for u in units if u.arm == error.arm)
            _record_failure(failed, bench, "latency", cause)
            units = [unit for unit in units if unit is not failed]
            continue
        for latency in timed:
            bench.store.add(latency)
        return units, {latency.detect_digest: latency for latency in timed}
    return [], {}


def _tell_start(plan: Plan, manifest: Manifest, bench: AblationContext) -> None:
    env = environment(bench.place.device)
    text = Path(plan.ablation.file).read_text(encoding="utf-8")
    tags = {
        "spec": Path(plan.ablation.file).name,
        "git_commit": env.commit,
        "dirty": str(env.dirty).lower(),
        "device": env.device,
    }
    bench.tracker.start(manifest, text, tags)
