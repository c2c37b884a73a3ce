"""One row for every arm: its accuracies over seeds, its time, and why a number is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from reports.summary.timings import SessionRow, Timing
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.metrics import points, seeds_text
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.spec.accuracies import ACCURACIES
from yolact_bench.spec.budget_names import FULL
from yolact_bench.statistics.matches import IOU_THRESHOLDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A metric of one arm, over its seeds. AP in percentage points."""

    mean: float
    spread: float | None  # standard deviation over seeds; None with one seed


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """Everything known about one arm."""

    arm: str
    is_baseline: bool
    is_external: bool  # predicted by another program: only scored here
    changes: Mapping[str, object]
    metrics: Mapping[str, Value | None]  # mask_ap, mask_ap50, …, box_ar_large; None: undefined
    mask_by_iou: tuple[float | None, ...]  # points, at IOU_THRESHOLDS
    mask_by_class: Mapping[str, float | None]  # points
    parameters: int | None
    macs: int | None
    timing: Timing | None
    timing_refused: str | None
    missing: tuple[str, ...]  # why numbers are missing: failures, or not run yet
    proxy: bool
    runs: tuple[PlannedRun, ...]
    accuracies: Mapping[int, Accuracy]  # by seed


def arm_row(
    arm: str,
    manifest: Manifest,
    accuracies: Mapping[str, Accuracy],
    failures: Sequence[Failure],
    session: SessionRow | None,
) -> ArmRow:
    """Return the row of that arm; `accuracies` are by detect digest."""
    runs = tuple(run for run in manifest.runs if run.arm == arm)
    done = {r.seed: accuracies[r.detect_digest] for r in runs if r.detect_digest in accuracies}
    own = list(done.values())
    external = any(run.is_external for run in runs)
    return ArmRow(
        arm=arm,
        is_baseline=arm == manifest.baseline,
        is_external=external,
        changes=manifest.arm_changes[arm],
        metrics={name: _value(name, own) for name in ACCURACIES},
        mask_by_iou=tuple(
            _mean([a.mask.ap_by_iou[i] for a in own]) for i in range(len(IOU_THRESHOLDS))
        ),
        mask_by_class={
            name: _mean([a.mask.ap_by_class.get(name) for a in own])
            for name in dict.fromkeys(n for a in own for n in a.mask.ap_by_class)
        },
        parameters=own[0].parameters if own and not external else None,
        macs=own[0].macs if own and not external else None,
        timing=session.timings.get(arm) if session else None,
        timing_refused=session.refused.get(arm) if session else None,
        missing=tuple(_missing(runs, done, failures, manifest)),
        proxy=manifest.budget != FULL or any(a.proxy for a in own),
        runs=runs,
        accuracies=done,
    )


def _value(metric: str, done: Sequence[Accuracy]) -> Value | None:
    defined = [value for accuracy in done if (value := points(accuracy, metric)) is not None]
    if not defined:
        return None
    return Value(mean=fmean(defined), spread=stdev(defined) if len(defined) > 1 else None)


def _mean(fractions: Iterable[float | None]) -> float | None:
    defined = [fraction for fraction in fractions if fraction is not None]
    return 100 * fmean(defined) if defined else None


def _missing(
    runs: Sequence[PlannedRun],
    done: Mapping[int, Accuracy],
    failures: Sequence[Failure],
    manifest: Manifest,
) -> list[str]:
    """Reasons for missing numbers, each with the seeds it holds for."""
    reasons: dict[str, list[int]] = {}
    for run in runs:
        failed = [f for f in failures if f.detect_digest == run.detect_digest]
        lines = [f"{f.phase} failed ({f.kind}): {' '.join(f.message.split())}" for f in failed]
        if run.seed not in done and not failed and "accuracy" in manifest.measure:
            lines.append((manifest.dropped or {}).get(run.arm, "not run yet"))
        for reason in lines:
            reasons.setdefault(reason, []).append(run.seed)
    if len(manifest.seeds) == 1:
        return list(reasons)
    return [f"{seeds_text(seeds)}: {reason}" for reason, seeds in reasons.items()]
