"""Rows of other frameworks: planned, predicted, scored and recorded beside our own."""

import logging
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.arm import Unit, Workplace, now
from runners.environment import environment
from runners.evaluate import evaluate
from runners.external_predict import ExternalUnit, predict_external
from runners.external_results import Facts, ReportedLatency, read_facts
from runners.resample import resample
from runners.tracking import Tracker
from yolact_bench.errors import ArmError, MissingDataError, SpecError
from yolact_bench.results.record import Accuracy, Environment, Failure, Latency
from yolact_bench.results.store import Store
from yolact_bench.spec.external import External
from yolact_bench.statistics.matches import FILES as MATCH_FILES
from yolact_bench.statistics.resamples import read_resamples

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalStep:
    """One external result of a plan, and whether its record is there."""

    unit: ExternalUnit
    evaluated: bool
    failed: str | None  # the standing failure, if any


def external_steps(
    rows: Sequence[External], *, baseline: Unit, seeds: Sequence[int], store: Store, proxy: bool
) -> tuple[ExternalStep, ...]:
    """Return the results that the rows stand for, on the baseline's evaluation images.

    A row whose spec does not say `{seed}` is one result, beside the first seed. `proxy`: the
    evaluation images are a stand-in. A shorter schedule of ours makes no proxy of it.

    Raises:
        MissingDataError: a result file or a program that is not there.
    """
    steps = []
    for row in rows:
        for seed in seeds if row.per_seed else seeds[:1]:
            missing = row.missing(seed=seed, default_python=sys.executable)
            if missing:
                raise MissingDataError(f"{row.where}: {missing}; or take the row out")
            eval_data = baseline.run.eval_data
            unit = ExternalUnit(
                ablation=baseline.ablation,
                external=row,
                seed=seed,
                digest=row.digest(seed=seed, eval_data=eval_data),
                data=baseline.data,
                split=baseline.split,
                eval_data=eval_data,
                proxy=proxy,
            )
            failures = store.failures([unit.digest])
            steps.append(
                ExternalStep(
                    unit=unit,
                    evaluated=store.accuracy(unit.digest) is not None,
                    failed=f"{failures[-1].phase}: {failures[-1].message}" if failures else None,
                )
            )
    return tuple(steps)


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


def bring_external_to_record(
    step: ExternalStep,
    *,
    place: Workplace,
    store: Store,
    tracker: Tracker,
    retry_failed: bool,
    sizes: bool,
) -> None:
    """Predict and score one row of another framework, unless its record is there, or a failure."""
    unit = step.unit
    accuracy = store.accuracy(unit.digest)
    tracker.arm_started(unit.planned(), "reuse" if accuracy else "evaluate")
    standing = store.failures([unit.digest])
    if standing and not retry_failed:
        log.warning(
            "%s: failed before (%s); --retry-failed tries again", unit.title, standing[-1].kind
        )
        tracker.log_failure(standing[-1])
        return
    if accuracy is None:
        try:
            folder = predict_external(unit, place)
            facts = read_facts(folder)
            accuracy = _accuracy(unit, place, folder, facts)
        except Exception as error:
            failure = _failure(unit, place, error)
            log.error("%s: failed (%s): %s", unit.title, failure.kind, failure.message)
            store.add(failure)
            tracker.log_failure(failure)
            return
        if facts.latency is not None:
            store.add(_latency(unit, facts.latency))
        store.add(accuracy)
    _ensure_resampled(unit, place, sizes=sizes)
    # Its time stays out of MLflow, where nothing would keep it apart from ours.
    tracker.log_accuracy(replace(accuracy, arm=unit.arm, seed=unit.seed))


def _accuracy(unit: ExternalUnit, place: Workplace, folder: Path, facts: Facts) -> Accuracy:
    dataset = place.datasets.open(unit.data, unit.split)
    scores = evaluate(dataset, folder)
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
    )


def _failure(unit: ExternalUnit, place: Workplace, error: Exception) -> Failure:
    known = {SpecError: "bad_results", MemoryError: "out_of_memory"}
    kind = error.kind if isinstance(error, ArmError) else known.get(type(error), "error")
    return Failure(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        detect_digest=unit.digest,
        phase="evaluate",
        kind=kind,
        message=str(error) or type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
        environment=environment(place.device),
        time=now(),
    )


def _ensure_resampled(unit: ExternalUnit, place: Workplace, *, sizes: bool) -> None:
    """Leave AP on resampled images beside that of our own arms, unless it is there."""
    out = place.work_dir / "resamples" / f"{unit.digest}.npz"
    folder = place.predictions(unit.digest)
    if out.is_file() and (not sizes or "mask_ap_small" in read_resamples(out)):
        return
    if not all((folder / name).is_file() for name in MATCH_FILES.values()):
        log.warning(
            "%s: its predictions are gone, so there is no interval; delete its line from "
            "results.jsonl to have it predicted again",
            unit.title,
        )
        return
    resample(folder, out, eval_data=unit.eval_data, areas=sizes)
