"""A sweep from its spec to its summary: open, seed, try, verify the best.

One file: the flow of a sweep, read from top to bottom.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.arms.finish import ensure_accuracy
from runners.arms.train import ensure_trained
from runners.executors import Executor
from runners.sweep import fact
from runners.sweep.check import CheckedSweep
from runners.sweep.coordinator import Coordinator
from runners.sweep.ledger import Ledger, coordinator_of
from runners.sweep.open_study import storage_faults
from runners.sweep.replays import run_replays
from runners.sweep.stopwatch import Stopwatch
from runners.sweep.storage import is_own, storage_url
from runners.sweep.study import Study
from runners.sweep.summary_file import SweepSummary
from runners.sweep.trainings import Trainings
from runners.sweep.trial import metrics_of, missing_metric
from runners.system.environment import environment
from runners.timing.records import TimingLimits
from runners.tracking.tracker import Tracker
from runners.units.unit import planned_run
from runners.units.workplace import Workplace, is_trained
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.escape import without_passwords
from yolact_bench.results import manifest as manifests
from yolact_bench.results.fingerprint import environment_facts
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.sweep.space import params_of
from yolact_bench.work_names import REPORTS, SWEEPS, inside

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepContext:
    """What a sweep works with."""

    place: Workplace
    tracker: Tracker
    timing: TimingLimits
    data_root: Path | None
    storage: str | None  # a database URL; None: work/optuna.db
    make_executor: Callable[[], Executor | None]  # where trials train


def run_sweep(checked: CheckedSweep, at: SweepContext, *, command: str) -> Sweep:
    """Run what is left of a sweep; return its summary.

    Raises:
        SpecError: a storage or data that cannot be used; a study that was begun otherwise.
        ArmError: the base cannot be trained or evaluated, where all trials depend on it.
        KeyboardInterrupt: a stop was requested; the same command resumes.
    """
    spec, place = checked.spec, at.place
    splits = ("train", checked.base.split) if spec.trains else (checked.base.split,)
    place.datasets.open_all((checked.base.data, split) for split in splits)
    url = storage_url(at.storage, place.work_dir)
    with storage_faults(url):
        return _run(checked, at, url, command=command)


def _run(checked: CheckedSweep, at: SweepContext, url: str, *, command: str) -> Sweep:
    spec, place = checked.spec, at.place
    content = f"{checked.base.run.train_data} {checked.base.eval_data}"
    study = Study(spec, url, environment_facts(environment(place.device)), content)
    log.info("study %s in %s", spec.name, without_passwords(url))
    ledger = Ledger(
        study=study,
        space=spec.space,
        coordinator=coordinator_of(place.work_dir),
        own_storage=is_own(url, place.work_dir),
    )
    lost = ledger.recover()
    if lost:
        log.info("%d trials were running when their coordinator ended", lost)
    if spec.tries_all:
        ledger.enqueue_all()
    summary = SweepSummary(
        spec=spec,
        study=study,
        folder=inside(place.work_dir / SWEEPS, spec.name),
        device=place.device,
        command=command,
    )
    try:
        with at.tracker.execution(
            _manifest(checked, command), spec=Path(spec.source.file), env=environment(place.device)
        ):
            summary.base_metrics = _base_metrics(checked, at) or summary.base_metrics
            _seed(checked, study, at)
            _run_trials(checked, at, ledger, summary)
            _verify_best(checked, at, study)
    finally:
        sweep = summary.write()
    return sweep


def _run_trials(
    checked: CheckedSweep, at: SweepContext, ledger: Ledger, summary: SweepSummary
) -> None:
    stopwatch = Stopwatch(
        spec=checked.spec,
        base=checked.base,
        place=at.place,
        timing=at.timing,
        study=ledger.study,
        quiet=at.tracker.drain,
    )
    coordinator = Coordinator(
        spec=checked.spec,
        ledger=ledger,
        factory=checked.factory,
        summary=summary,
        tracker=at.tracker,
        stopwatch=stopwatch,
    )
    if coordinator.left <= 0:
        return
    if checked.spec.replays:
        ensure_trained(checked.base, at.place)
        run_replays(coordinator, checked.base, checked.corners)
        return
    executor = at.make_executor()
    assert executor is not None, "trials train in processes of their own"
    Trainings(at=coordinator, executor=executor).run()


def _base_metrics(checked: CheckedSweep, at: SweepContext) -> Mapping[str, float]:
    """Return the metrics of the base, evaluated if that is needed or costs no training."""
    spec, base = checked.spec, checked.base
    evaluated = at.place.store.accuracy(base.detect_digest) is not None
    if not (evaluated or spec.replays or spec.timed or is_trained(base, at.place)):
        return {}
    return metrics_of(ensure_accuracy(base, at.place))


def _seed(checked: CheckedSweep, study: Study, at: SweepContext) -> None:
    """Add finished arms of ablations that lie in the space, each once."""
    spec = checked.spec
    origins = {str(trial.facts.get(fact.ORIGIN, "")) for trial in study.trials()}
    for name in spec.seed_from:
        folder = inside(at.place.work_dir / REPORTS, name)
        if not folder.is_dir():
            log.info("not seeded with %s: no results in %s", name, at.place.work_dir)
            continue
        for run in manifests.load(folder).runs:
            origin = f"arm {run.arm} of {name}"
            accuracy = at.place.store.accuracy(run.detect_digest)
            params = params_of(spec.space, run.run)
            if run.seed != 0 or origin in origins or accuracy is None or params is None:
                continue
            try:
                unit = checked.factory.trial(0, params)
            except SpecError as error:  # choices that do not go together beside this base
                study.add(params, [], {fact.ORIGIN: origin, fact.REASON: str(error)})
                log.info("not seeded with %s: %s", origin, error)
                continue
            metrics = metrics_of(accuracy)
            if unit.run.detect_digest != run.detect_digest or missing_metric(spec, metrics):
                continue  # another base, or not measured there
            facts = {
                fact.ORIGIN: origin,
                fact.METRICS: metrics,
                fact.TRAINED: run.train_digest,
                fact.DETECTED: run.detect_digest,
            }
            study.add(params, [metrics[one.metric] for one in spec.objectives], facts)
            log.info("seeded with %s", origin)


def _verify_best(checked: CheckedSweep, at: SweepContext, study: Study) -> None:
    """Evaluate the best replays as arms, which leaves their records and files."""
    if not checked.spec.replays:
        return
    for number in study.best():
        trial = study.trial(number)
        accuracy = ensure_accuracy(checked.factory.trial(number, trial.params), at.place)
        for name, value in metrics_of(accuracy).items():
            if trial.metrics.get(name, value) != value:
                raise ArmError(
                    "unequal_scores",
                    f"trial {number}: {name} was {trial.metrics[name]}, but evaluation gives "
                    f"{value}; no number of this sweep can be trusted; this is a bug in "
                    "yolact-bench; please report it",
                )


def _manifest(checked: CheckedSweep, command: str) -> Manifest:
    """Return what MLflow shows of the sweep."""
    spec = checked.spec
    return Manifest(
        name=f"sweep-{spec.name}",
        question=spec.question,
        command=command,
        base=spec.base,
        baseline="base",
        changes=tuple(spec.space),
        arm_changes={"base": {}},
        seeds=(0,),
        measure=("accuracy",),
        dataset=spec.dataset,
        paper=None,
        expect=(),
        runs=(planned_run(checked.base),),
        budget=spec.budget,
    )
