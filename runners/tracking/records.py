"""Manifests and records as events, with the names that MLflow shows."""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from runners.tracking.events import ArmFailure, ArmStart, ExecutionStart, Phase, Points
from runners.tracking.tags import flag
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, ApSummary, Failure, Latency
from yolact_bench.spec.budget_names import FULL
from yolact_bench.statistics.timing import MIN_SAMPLES_P90, MIN_SAMPLES_P99, paired_ratio

LONGEST_VALUE = 500
_COMPARED = ("mask/AP", "box/AP")  # with the baseline; times by their ratio
_MIN_SAMPLES = {90: MIN_SAMPLES_P90, 99: MIN_SAMPLES_P99}  # as in the report
# Of the numbers of a summary, in their order.
_NAMES = "AP AP50 AP75 AP_S AP_M AP_L AR1 AR10 AR100 AR_S AR_M AR_L"


def started_event(
    manifest: Manifest, tags: Mapping[str, str], *, time_ms: int, execution: str, spec_text: str
) -> ExecutionStart:
    """Return the beginning of an execution. `tags` hold at least git_commit and dirty."""
    return ExecutionStart(
        time_ms=time_ms,
        execution=execution,
        ablation=manifest.name,
        question=manifest.question,
        command=manifest.command,
        baseline=manifest.baseline,
        tags={
            "spec": manifest.name,
            "budget": manifest.budget,
            "proxy": flag(manifest.budget != FULL),
            **tags,
        },
        spec_text=spec_text,
    )


def arm_event(
    source: PlannedRun | Accuracy | Latency | Failure, phase: Phase, *, time_ms: int
) -> ArmStart:
    """Return the beginning of an arm's run, of which only a record may be known."""
    return ArmStart(
        time_ms=time_ms,
        arm=source.arm,
        seed=source.seed,
        phase=phase,
        train_digest=source.train_digest,
        detect_digest=source.detect_digest,
        run=source.run if isinstance(source, PlannedRun) else {},
    )


def result_event(
    record: Accuracy | Latency | Failure, *, time_ms: int, reference: Latency | None = None
) -> Points | ArmFailure:
    """Return an arm's AP, its milliseconds with a tag where they do not count, or its failure.

    `reference` is the baseline's time of the same session.
    """
    of: dict[str, Any] = {"time_ms": time_ms, "arm": record.arm, "seed": record.seed}
    if isinstance(record, Failure):
        return ArmFailure(
            **of, kind=record.kind, message=record.message, traceback=record.traceback
        )
    if isinstance(record, Accuracy):
        return Points(**of, step=0, values=accuracy_metrics(record), proxy=record.proxy)
    reason = f"{record.scenario}: {record.invalid}"[:LONGEST_VALUE]
    tags = {"latency_invalid": reason} if record.invalid else {}
    return Points(**of, step=0, values=latency_metrics(record, reference), tags=tags)


def accuracy_metrics(accuracy: Accuracy) -> dict[str, float]:
    """Return AP as fractions, mask/AP and box/AP among others, and the cost of training."""
    metrics = {
        **_summary_metrics("mask", accuracy.mask),
        **_summary_metrics("box", accuracy.box),
        "parameters": accuracy.parameters,
        "train/iterations": accuracy.iterations,
        "train/seconds": accuracy.train_seconds,
        "train/images_per_second": accuracy.train_images_per_second,
        "macs": accuracy.macs,
        "memory/train_peak_mb": accuracy.peak_memory_mb,
    }
    return {name: float(value) for name, value in metrics.items() if value is not None}


def _summary_metrics(kind: str, summary: ApSummary) -> dict[str, float | None]:
    numbers = [getattr(summary, field.name) for field in fields(summary)]
    return {f"{kind}/{name}": number for name, number in zip(_NAMES.split(), numbers, strict=False)}


def latency_metrics(latency: Latency, reference: Latency | None = None) -> dict[str, float]:
    """Return quantiles, medians of the stages, the peak of memory and the energy of an image.

    The names of end-to-end times are latency/e2e_p50_ms, latency/stage/nms_ms, …; those of
    another scenario, batch size or declared load carry it: latency/model_p50_ms,
    latency/model_stage/head_ms, latency/e2e_b8_p50_ms, latency/detector_crowded_100_p50_ms.
    latency/e2e_ratio is the median ratio of paired rounds to the reference, as in the report.
    Times whose `invalid` holds a reason, which must be that of their whole session, stand under
    invalid/.
    """
    whole = "e2e" if latency.scenario == "end_to_end" else latency.scenario
    whole += f"_b{latency.batch_size}" if latency.batch_size > 1 else ""
    whole += f"_{latency.load}" if latency.load else ""
    part = "" if whole == "e2e" else f"{whole}_"
    n = len(latency.samples_ms)
    metrics = {
        f"latency/{whole}_p50_ms": latency.median_ms,
        f"latency/{part}samples": float(n),
        f"memory/{part}peak_mb": latency.peak_memory_mb,
        f"energy/{whole}_mj": latency.energy_mj,
    }
    if reference is not None and latency.is_paired(reference):
        ratio, _ = paired_ratio(latency.samples_ms, reference.samples_ms, resamples=0)
        metrics[f"latency/{whole}_ratio"] = ratio
    for percent, least in _MIN_SAMPLES.items():
        if n >= least:
            metrics[f"latency/{whole}_p{percent}_ms"] = latency.quantile_ms(percent / 100)
    if latency.enqueue_ms:
        metrics[f"latency/{whole}_enqueue_p50_ms"] = statistics.median(latency.enqueue_ms)
    for stage, samples in latency.stages_ms.items():
        metrics[f"latency/{part}stage/{stage}_ms"] = statistics.median(samples)
    prefix = "invalid/" if latency.invalid else ""
    return {prefix + name: value for name, value in metrics.items() if value is not None}


def differences(
    results: Mapping[tuple[str, int], Mapping[str, float]], baseline: str
) -> dict[tuple[str, int], dict[str, float]]:
    """Return for every arm and seed its differences to the baseline with the same seed."""
    deltas = {}
    for (arm, seed), values in results.items():
        reference = results.get((baseline, seed), {})
        both = [name for name in _COMPARED if name in values and name in reference]
        if arm != baseline and both:
            deltas[arm, seed] = {f"delta/{name}": values[name] - reference[name] for name in both}
    return deltas


def flatten(choices: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield slot.option and its value as text, cut to the length that every store accepts."""
    for key, value in choices.items():
        if isinstance(value, Mapping):
            for option, inner in flatten(value):
                yield f"{key}.{option}", inner
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            cut = len(text) > LONGEST_VALUE
            yield key, text[: LONGEST_VALUE - 1] + "…" if cut else text
