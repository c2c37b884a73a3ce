"""Manifest, records and training logs to typed rows: one per arm, with everything a page prints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from reports.caveats import caveats
from reports.curves import Curve, read_curve
from reports.paper import PaperGroup, paper_group
from reports.timing import Session, Timing, read_session
from yolact_bench.results.expect import Outcome, evaluate_expectation
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, ApSummary, Environment, Failure
from yolact_bench.results.store import Store

IOUS = tuple(round(0.50 + 0.05 * i, 2) for i in range(10))
# Our name of a COCO metric → field of ApSummary, in table order.
METRICS: Mapping[str, str] = {
    "ap": "ap",
    "ap50": "ap50",
    "ap75": "ap75",
    "ap_small": "ap_small",
    "ap_medium": "ap_medium",
    "ap_large": "ap_large",
    "ar1": "ar_1",
    "ar10": "ar_10",
    "ar100": "ar_100",
    "ar_small": "ar_small",
    "ar_medium": "ar_medium",
    "ar_large": "ar_large",
}


_OF_TIMING: Mapping[str, Callable[[Timing], float | None]] = {
    "latency_ms": lambda timing: timing.median_ms,
    "latency_p90_ms": lambda timing: timing.p90_ms,
    "fps": lambda timing: timing.fps,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A metric of one arm, over its seeds. AP in percent points."""

    mean: float
    spread: float | None  # standard deviation over seeds; None with one seed
    delta: float | None  # to the baseline, mean over the seeds that both have


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """Everything known about one arm."""

    arm: str
    is_baseline: bool
    changes: Mapping[str, object]
    seeds_planned: int
    seeds_done: int
    metrics: Mapping[str, Value | None]  # mask_ap, mask_ap50, …, box_ar_large; None: undefined
    mask_by_iou: tuple[float | None, ...]  # points, at IOUS
    mask_by_class: Mapping[str, float | None]  # points
    parameters: int | None
    timing: Timing | None
    timing_refused: str | None
    missing: tuple[str, ...]  # why numbers are missing: failures, or not run yet
    proxy: bool
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One training and the arms that use its checkpoint."""

    train_digest: str
    label: str
    iterations: int
    seconds: float
    images_per_second: float
    peak_memory_mb: float | None
    skipped_annotations: int
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An ablation, ready to be told."""

    manifest: Manifest
    rows: tuple[ArmRow, ...]
    trainings: tuple[TrainingRow, ...]
    curves: tuple[Curve, ...]
    session: Session | None
    paper: PaperGroup | None
    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    environments: tuple[Environment, ...]  # different ones, of accuracies then latencies
    datasets: tuple[str, ...]  # name and number of images, as evaluated


def summarise(manifest: Manifest, store: Store, checkpoints: Path) -> Summary:
    """Return the rows of the ablation; the same records always give the same rows."""
    arms = _arms(manifest)
    digests = list(dict.fromkeys(run.detect_digest for run in manifest.runs))
    found = {digest: store.accuracy(digest) for digest in digests}
    accuracies = {digest: a for digest, a in found.items() if a is not None}
    failures = store.failures(digests)
    session = None
    if "latency" in manifest.measure:
        by_seed = {
            seed: {run.arm: run.detect_digest for run in manifest.runs if run.seed == seed}
            for seed in manifest.seeds
        }
        session = read_session(store, by_seed, manifest.baseline)
    rows = tuple(_row(arm, manifest, accuracies, failures, session) for arm in arms)
    labels = _training_labels(manifest)
    curves = [
        read_curve(checkpoints / digest / "log.jsonl", train_digest=digest, label=label)
        for digest, label in labels.items()
    ]
    environments = [a.environment for a in accuracies.values()]
    return Summary(
        manifest=manifest,
        rows=rows,
        trainings=_trainings(labels, accuracies.values()),
        curves=tuple(curve for curve in curves if curve is not None),
        session=session,
        paper=paper_group(manifest.paper) if manifest.paper else None,
        outcomes=_outcomes(manifest, rows),
        failures=failures,
        warnings=caveats(manifest, list(accuracies.values()), session),
        environments=tuple(_distinct(environments + ([session.environment] if session else []))),
        datasets=tuple(
            dict.fromkeys(f"{a.dataset}, {a.num_images} images" for a in accuracies.values())
        ),
    )


def _arms(manifest: Manifest) -> list[str]:
    planned = {run.arm for run in manifest.runs}
    return [arm for arm in manifest.arm_changes if arm in planned]


def _row(
    arm: str,
    manifest: Manifest,
    accuracies: Mapping[str, Accuracy],
    failures: Sequence[Failure],
    session: Session | None,
) -> ArmRow:
    runs = tuple(run for run in manifest.runs if run.arm == arm)
    done = {r.seed: accuracies[r.detect_digest] for r in runs if r.detect_digest in accuracies}
    baseline = {
        run.seed: accuracies[run.detect_digest]
        for run in manifest.runs
        if run.arm == manifest.baseline and run.detect_digest in accuracies
    }
    own = list(done.values())
    is_baseline = arm == manifest.baseline
    reference = {} if is_baseline else baseline
    return ArmRow(
        arm=arm,
        is_baseline=is_baseline,
        changes=manifest.arm_changes[arm],
        seeds_planned=len(runs),
        seeds_done=len(done),
        metrics={
            f"{kind}_{name}": _value(kind, field, done, reference)
            for kind in ("mask", "box")
            for name, field in METRICS.items()
        },
        mask_by_iou=tuple(_mean([a.mask.ap_by_iou[i] for a in own]) for i in range(len(IOUS))),
        mask_by_class={
            name: _mean([a.mask.ap_by_class.get(name) for a in own])
            for name in dict.fromkeys(n for a in own for n in a.mask.ap_by_class)
        },
        parameters=own[0].parameters if own else None,
        timing=session.timings.get(arm) if session else None,
        timing_refused=session.refused.get(arm) if session else None,
        missing=tuple(_missing(runs, done, failures, manifest)),
        proxy=any(a.proxy for a in own),
        runs=runs,
    )


def _value(
    kind: str, field: str, done: Mapping[int, Accuracy], baseline: Mapping[int, Accuracy]
) -> Value | None:
    own = {seed: _points(a, kind, field) for seed, a in done.items()}
    defined = [value for value in own.values() if value is not None]
    if not defined:
        return None
    base = {seed: _points(a, kind, field) for seed, a in baseline.items()}
    deltas = [
        value - reference
        for seed, value in own.items()
        if value is not None and (reference := base.get(seed)) is not None
    ]
    return Value(
        mean=fmean(defined),
        spread=stdev(defined) if len(defined) > 1 else None,
        delta=fmean(deltas) if deltas else None,
    )


def _points(accuracy: Accuracy, kind: str, field: str) -> float | None:
    summary: ApSummary = accuracy.mask if kind == "mask" else accuracy.box
    fraction: float | None = getattr(summary, field)
    return None if fraction is None else 100 * fraction


def _mean(fractions: Iterable[float | None]) -> float | None:
    defined = [fraction for fraction in fractions if fraction is not None]
    return 100 * fmean(defined) if defined else None


def _missing(
    runs: Sequence[PlannedRun],
    done: Mapping[int, Accuracy],
    failures: Sequence[Failure],
    manifest: Manifest,
) -> list[str]:
    """Reasons for missing numbers, one for each seed that lacks some."""
    reasons = []
    for run in runs:
        of_seed = f"seed {run.seed}: " if len(manifest.seeds) > 1 else ""
        failed = [f for f in failures if f.detect_digest == run.detect_digest]
        reasons += [f"{of_seed}{f.phase} failed ({f.kind}): {_one_line(f.message)}" for f in failed]
        if run.seed not in done and not failed and "accuracy" in manifest.measure:
            reasons.append(f"{of_seed}not run yet")
    return reasons


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _training_labels(manifest: Manifest) -> dict[str, str]:
    """Training → the arms that use it, in the order of the manifest."""
    users: dict[str, list[str]] = {}
    seeds: dict[str, int] = {}
    for run in manifest.runs:
        users.setdefault(run.train_digest, []).append(run.arm)
        seeds[run.train_digest] = run.seed
    several = len(manifest.seeds) > 1
    return {
        digest: ", ".join(dict.fromkeys(arms)) + (f" (seed {seeds[digest]})" if several else "")
        for digest, arms in users.items()
    }


def _trainings(labels: Mapping[str, str], found: Iterable[Accuracy]) -> tuple[TrainingRow, ...]:
    by_training: dict[str, Accuracy] = {}
    for accuracy in found:
        by_training.setdefault(accuracy.train_digest, accuracy)
    return tuple(
        TrainingRow(
            train_digest=digest,
            label=label,
            iterations=a.iterations,
            seconds=a.train_seconds,
            images_per_second=a.train_images_per_second,
            peak_memory_mb=a.peak_memory_mb,
            skipped_annotations=a.skipped_annotations,
            parameters=a.parameters,
        )
        for digest, label in labels.items()
        if (a := by_training.get(digest)) is not None
    )


def _outcomes(manifest: Manifest, rows: Sequence[ArmRow]) -> tuple[Outcome, ...]:
    by_arm = {row.arm: row for row in rows}

    def value_of(quantity: str, arm: str) -> float | None:
        row = by_arm[arm]
        if quantity == "parameters":
            return row.parameters
        if quantity in _OF_TIMING:
            return None if row.timing is None else _OF_TIMING[quantity](row.timing)
        value = row.metrics[quantity]
        return None if value is None else value.mean

    return tuple(evaluate_expectation(text, list(by_arm), value_of) for text in manifest.expect)


def _distinct(environments: Iterable[Environment]) -> list[Environment]:
    distinct: list[Environment] = []
    for environment in environments:
        if environment not in distinct:
            distinct.append(environment)
    return distinct
