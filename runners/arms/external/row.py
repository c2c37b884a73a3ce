"""Rows of other frameworks: predicted, scored and recorded beside our own."""

import logging
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from runners.arms.analyse import has_resamples
from runners.arms.external.plan import ExternalStep
from runners.arms.external.predict import ExternalUnit, predict_external
from runners.arms.external.results import Facts, ReportedLatency, read_facts
from runners.arms.failure import failure_kind
from runners.evaluation.coco.score import engine_name
from runners.evaluation.error_types import error_gains
from runners.evaluation.files import BOX_FILE, MASK_FILE
from runners.evaluation.resample import resample
from runners.evaluation.score import evaluate
from runners.system.environment import environment, now
from runners.tracking.tracker import Tracker
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy, Environment, Errors, Failure, Latency
from yolact_bench.results.store import Store
from yolact_bench.statistics.matches import FILES as MATCH_FILES

log = logging.getLogger(__name__)


class Bench(Protocol):
    """What an external row needs of the bench on which the whole ablation runs."""

    @property
    def place(self) -> Workplace: ...

    @property
    def store(self) -> Store: ...

    @property
    def tracker(self) -> Tracker: ...

    @property
    def retry_failed(self) -> bool: ...

    @property
    def sizes(self) -> bool: ...


def adopt_files(steps: Sequence[ExternalStep], place: Workplace) -> None:
    """Take over all result files of rows that have no record: their mistakes must show first.

    Raises:
        SpecError: a file that is no result of the evaluation images.
    """
    for step in steps:
        if not step.evaluated and not step.unit.runs_a_command:
            try:
                predict_external(step.unit, place)
            except SpecError as error:
                raise SpecError(f"{step.unit.external.where}: {error}") from error


def bring_external_to_record(step: ExternalStep, bench: Bench, *, errors: bool) -> None:
    """Predict and score one row of another framework, unless its record is there, or a failure.

    `errors` adds the split of errors into types.
    """
    unit, place, store, tracker = step.unit, bench.place, bench.store, bench.tracker
    accuracy = store.accuracy(unit.digest)
    tracker.arm_started(unit.planned(), "reuse" if accuracy else "evaluate")
    standing = {} if bench.retry_failed else {f.phase: f for f in store.failures([unit.digest])}
    failed = standing.get("evaluate")
    if failed is not None:
        log.warning("%s: failed before (%s); --retry-failed tries again", unit.title, failed.kind)
        tracker.log_failure(failed)
        return
    if accuracy is None:
        try:
            folder = predict_external(unit, place)
            facts = read_facts(folder)
            accuracy = _accuracy(unit, place, folder, facts)
        except Exception as error:
            _record_failure(unit, bench, "evaluate", error)
            return
        if facts.latency is not None:
            store.add(_latency(unit, facts.latency))
        store.add(accuracy)
        box, mask = (100.0 * (ap.ap or 0.0) for ap in (accuracy.box, accuracy.mask))
        log.info("%s: mask AP %.1f, box AP %.1f", unit.title, mask, box)
    # Its time stays out of MLflow, where nothing would keep it apart from ours.
    tracker.log_accuracy(replace(accuracy, arm=unit.arm, seed=unit.seed))
    _ensure_resampled(unit, place, sizes=bench.sizes)
    if errors and "errors" not in standing and store.errors(unit.digest) is None:
        try:
            store.add(_errors(unit, place))
        except Exception as error:
            _record_failure(unit, bench, "errors", error)


def _accuracy(unit: ExternalUnit, place: Workplace, folder: Path, facts: Facts) -> Accuracy:
    dataset = place.datasets.open(unit.data, unit.split)
    scores = evaluate(dataset, folder, scoring=place.scoring)
    boxes = "; boxes are those around the masks" if facts.boxes_around_masks else ""
    return Accuracy(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        forward_digest=unit.digest,
        detect_digest=unit.digest,
        dataset=f"{unit.data.name} {unit.split}",
        eval_data=unit.eval_data,
        num_images=len(dataset),
        box=scores.box,
        mask=scores.mask,
        parameters=0,
        iterations=0,
        train_seconds=0.0,
        train_images_per_second=0.0,
        skipped_annotations=0,
        peak_memory_mb=None,
        predictions=str(folder.relative_to(place.work_dir)),
        environment=environment(place.device),
        time=now(),
        proxy=unit.proxy,
        scoring=engine_name(place.scoring),
        origin=unit.external.origin + boxes,
    )


def _latency(unit: ExternalUnit, reported: ReportedLatency) -> Latency:
    """The time that a framework reports, in a session of its own: it compares with no other."""
    what = "median alone" if reported.only_median else "samples"
    return Latency(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        detect_digest=unit.digest,
        session=f"external-{unit.digest}",
        interleaved_with=(unit.arm,),
        scenario=reported.scenario,
        timer=f"reported by itself ({what})",
        precision=reported.precision,
        samples_ms=reported.samples_ms,
        stages_ms={},
        image_ids=(),
        warmup=0,
        peak_memory_mb=None,
        environment=Environment(
            commit="unknown",
            dirty=False,
            device=reported.device,
            device_type="unknown",
            threads=0,
            driver="unknown",
            os="unknown",
            versions=reported.software,
        ),
        time=now(),
        reported=True,
    )


def _errors(unit: ExternalUnit, place: Workplace) -> Errors:
    """The types of error; the oracles need candidates, which files of results do not hold."""
    folder = predict_external(unit, place)
    truth = place.datasets.open(unit.data, unit.split).ground_truth()
    return Errors(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        detect_digest=unit.digest,
        eval_data=unit.eval_data,
        box=error_gains(truth, folder / BOX_FILE, kind="bbox"),
        mask=error_gains(truth, folder / MASK_FILE, kind="segm"),
        oracles={},
        environment=environment(place.device),
        time=now(),
    )


def _record_failure(unit: ExternalUnit, bench: Bench, phase: str, error: Exception) -> None:
    failure = Failure(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        detect_digest=unit.digest,
        phase=phase,
        kind="bad_results" if isinstance(error, SpecError) else failure_kind(error),
        message=str(error) or type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
        environment=environment(bench.place.device),
        time=now(),
    )
    log.error("%s: failed (%s): %s", unit.title, failure.kind, failure.message)
    bench.store.add(failure)
    bench.tracker.log_failure(failure)


def _ensure_resampled(unit: ExternalUnit, place: Workplace, *, sizes: bool) -> None:
    """Leave AP on resampled images beside that of our own arms, unless it is there."""
    out = place.work_dir / "resamples" / f"{unit.digest}.npz"
    if has_resamples(out, sizes=sizes):
        return
    try:
        folder = predict_external(unit, place)
        if not all((folder / name).is_file() for name in MATCH_FILES.values()):
            dataset = place.datasets.open(unit.data, unit.split)
            evaluate(dataset, folder, scoring=place.scoring)
        resample(folder, out, eval_data=unit.eval_data, areas=sizes)
    except Exception as error:  # the accuracy stands; its table says that intervals are missing
        log.error("%s: no intervals: %s", unit.title, error)
