"""A sweep from its spec to its account: open, seed, try, check what is best."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.arms.finish import ensure_accuracy
from runners.arms.train import ensure_trained
from runners.executors import Executor
from runners.sweep.coordinator import Coordinator
from runners.sweep.ledger import Ledger, coordinator_of
from runners.sweep.replays import Scorer, try_replays
from runners.sweep.samplers import pruner_of
from runners.sweep.stopwatch import Stopwatch
from runners.sweep.storage import is_own, shown, storage_url
from runners.sweep.study import Study
from runners.sweep.summary_file import DETECTED, METRICS, ORIGIN, TRAINED, Account
from runners.sweep.trainings import Trainings
from runners.sweep.trial import Maker, metrics_of, missing_metric
from runners.system.environment import environment
from runners.timing.records import Timing
from runners.tracking.tracker import Tracker
from runners.units.unit import Unit, planned_run
from runners.units.workplace import Workplace, trained
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.results import manifest as manifests
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy
from yolact_bench.results.store import Store
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.space import all_params, params_of
from yolact_bench.spec.sweep.sweep import SweepSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepBench:
    """What a sweep works with."""

    place: Workplace
    store: Store
    tracker: Tracker
    timing: Timing
    data_root: Path | None
    storage: str | None  # a database URL; None: work/optuna.db
    make_executor: Callable[[], Executor]  # where trials train


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A sweep whose whole space has been checked."""

    spec: SweepSpec
    maker: Maker
    base: Unit
    borders: tuple[Run, ...]  # every component and end of a range once


def check_sweep(
    spec: SweepSpec, place: Workplace, data_root: Path | None, *, data: bool = True
) -> Checked:
    """Return the sweep with its base and the borders of its space, built on the meta device.

    Without `data` the files of the data set are not looked at; such a sweep is not to be run.

    Raises:
        SpecError: whatever could be known to fail before the first trial.
    """
    if spec.sampler == "grid" and all_params(spec.space) is None:
        raise SpecError(
            f"{spec.where('sampler')}: a grid needs a finite space; give every range a step, "
            "or write sampler: tpe"
        )
    pruner_of(spec)
    maker = Maker(spec=spec, place=place, data_root=data_root, data=data)
    return Checked(spec=spec, maker=maker, base=maker.base(), borders=tuple(maker.check_space()))


def run_sweep(checked: Checked, bench: SweepBench, *, command: str) -> Sweep:
    """Carry out what is left of a sweep; return its account.

    Raises:
        SpecError: a storage or data that cannot be used.
        ArmError: the base cannot be trained or evaluated, where all trials depend on it.
        KeyboardInterrupt: the same command goes on.
    """
    spec, place = checked.spec, bench.place
    url = storage_url(bench.storage, place.work_dir)
    study = Study(spec, url)
    log.info("study %s in %s", spec.name, shown(url))
    ledger = Ledger(
        study=study,
        space=spec.space,
        coordinator=coordinator_of(place.work_dir),
        own_storage=is_own(url, place.work_dir),
    )
    lost = ledger.recover()
    if lost:
        log.info("%d trials were running when their coordinator ended", lost)
    if spec.sampler == "grid":
        ledger.enqueue_all()
    account = Account(
        spec=spec,
        study=study,
        folder=place.work_dir / "sweeps" / spec.name,
        device=place.device,
        command=command,
    )
    manifest, file = _manifest(checked, command), Path(spec.source.file)
    with bench.tracker.execution(manifest, spec=file, env=environment(place.device)):
        try:
            _search(checked, bench, study, ledger, account)
        except BaseException:
            account.write(last=True)
            raise
        sweep = account.write(last=True)
    assert sweep is not None
    return sweep


def _search(
    checked: Checked, bench: SweepBench, study: Study, ledger: Ledger, account: Account
) -> None:
    spec, place = checked.spec, bench.place
    account.baseline = _baseline(checked, bench) or account.baseline
    _seed(checked, study, bench.store, place.work_dir)
    at = Coordinator(
        spec=spec,
        ledger=ledger,
        maker=checked.maker,
        account=account,
        tracker=bench.tracker,
        stopwatch=Stopwatch(
            spec=spec,
            base=checked.base,
            place=place,
            timing=bench.timing,
            study=study,
            quiet=bench.tracker.drain,
        ),
    )
    if at.left > 0:
        _carry_out(checked, bench, at)
    _confirm_best(checked, bench, study)


def _carry_out(checked: Checked, bench: SweepBench, at: Coordinator) -> None:
    if checked.spec.replays:
        ensure_trained(checked.base, bench.place)
        try_replays(at, Scorer(checked.base, bench.place, checked.borders))
        return
    Trainings(at=at, executor=bench.make_executor(), store=bench.store).run()


def _baseline(checked: Checked, bench: SweepBench) -> Mapping[str, float]:
    """Return the metrics of the base, evaluated if that is needed or costs no training."""
    spec, base, place = checked.spec, checked.base, bench.place
    known = place.store.accuracy(base.detect_digest) is not None
    if not (known or spec.replays or spec.timed or trained(base, place)):
        return {}
    return metrics_of(ensure_accuracy(base, place))


def _seed(checked: Checked, study: Study, store: Store, work_dir: Path) -> None:
    """Add finished arms of ablations that lie in the space, each once."""
    spec = checked.spec
    known = {str(trial.facts.get(ORIGIN, "")) for trial in study.trials()}
    for name in spec.seed_from:
        for planned in _runs(work_dir, name):
            origin = f"arm {planned.arm} of {name}"
            accuracy = store.accuracy(planned.detect_digest)
            params = params_of(spec.space, planned.run)
            if planned.seed != 0 or origin in known or accuracy is None or params is None:
                continue
            unit = checked.maker.trial(0, params)
            metrics = metrics_of(accuracy)
            if unit.run.detect_digest != planned.detect_digest or missing_metric(spec, metrics):
                continue  # another base, or not measured there
            facts = {
                ORIGIN: origin,
                METRICS: metrics,
                TRAINED: planned.train_digest,
                DETECTED: planned.detect_digest,
            }
            study.add(params, [metrics[one.metric] for one in spec.objectives], facts)
            log.info("seeded with %s", origin)


def _runs(work_dir: Path, name: str) -> tuple[PlannedRun, ...]:
    """Return the arms of an ablation, or none where it has not been run in this directory."""
    folder = work_dir / "reports" / name
    if not folder.is_dir():
        log.info("not seeded with %s: it has not been run in %s", name, work_dir)
        return ()
    return manifests.load(folder).runs


def _confirm_best(checked: Checked, bench: SweepBench, study: Study) -> None:
    """Evaluate what is best the ordinary way, so that records and files of it are there.

    Raises:
        ArmError: the ordinary way gives another number, so that no trial can be trusted.
    """
    if not checked.spec.replays:
        return
    for number in study.best():
        trial = study.tried(number)
        unit = checked.maker.trial(number, trial.params)
        found = ensure_accuracy(unit, bench.place)
        told = trial.facts.get(METRICS, {})
        assert isinstance(told, dict)
        _check_equal(number, found, told)


def _check_equal(number: int, found: Accuracy, told: Mapping[str, float]) -> None:
    for name, value in metrics_of(found).items():
        if name in told and told[name] != value:
            raise ArmError(
                "unequal_scores",
                f"trial {number}: its {name} was {told[name]}, and evaluated again it is {value}; "
                "this is a mistake of yolact-bench: no number of this sweep can be trusted",
            )


def _manifest(checked: Checked, command: str) -> Manifest:
    """Return what a tracker needs to know of the sweep: an experiment with its base."""
    spec, base = checked.spec, checked.base
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
        runs=(planned_run(base),),
        budget=spec.budget,
    )
