"""Records as MLflow metrics, choices of slots as MLflow parameters."""

import json
import statistics
from collections.abc import Iterator, Mapping

from yolact_bench.results.record import Accuracy, ApSummary, Latency

LONGEST_VALUE = 500
_COMPARED = ("mask/AP", "box/AP", "latency/e2e_p50_ms")  # with the baseline
_SCENARIO_NAMES = {"end_to_end": "e2e"}
_MIN_SAMPLES = {90: 64, 99: 662}  # some six beyond the quantile, as in the report
_FIELDS = "ap ap50 ap75 ap_small ap_medium ap_large ar_1 ar_10 ar_100 ar_small ar_medium ar_large"
_NAMES = "AP AP50 AP75 AP_S AP_M AP_L AR1 AR10 AR100 AR_S AR_M AR_L"
_SUMMARY_NAMES = dict(zip(_FIELDS.split(), _NAMES.split(), strict=True))


def accuracy_metrics(accuracy: Accuracy) -> dict[str, float]:
    """Return AP as fractions, mask/AP and box/AP among others, and the cost of training."""
    metrics = {
        **_summary_metrics("mask", accuracy.mask),
        **_summary_metrics("box", accuracy.box),
        "parameters": float(accuracy.parameters),
        "train/iterations": float(accuracy.iterations),
        "train/seconds": accuracy.train_seconds,
        "train/images_per_second": accuracy.train_images_per_second,
    }
    if accuracy.macs is not None:
        metrics["macs"] = float(accuracy.macs)
    if accuracy.peak_memory_mb is not None:
        metrics["memory/train_peak_mb"] = accuracy.peak_memory_mb
    return metrics


def _summary_metrics(kind: str, summary: ApSummary) -> dict[str, float]:
    values = {name: getattr(summary, field) for field, name in _SUMMARY_NAMES.items()}
    return {f"{kind}/{name}": value for name, value in values.items() if value is not None}


def latency_metrics(latency: Latency) -> dict[str, float]:
    """Return quantiles, medians of the stages, the peak of memory and the energy of an image.

    The names of end-to-end times are latency/e2e_p50_ms, latency/stage/nms_ms, …; those of
    another scenario or batch size carry it: latency/model_p50_ms, latency/model_stage/head_ms,
    latency/e2e_b8_p50_ms. Times whose `invalid` holds a reason, which must be that of their whole
    session, stand under invalid/, where no difference with the baseline finds them.
    """
    whole = _SCENARIO_NAMES.get(latency.scenario, latency.scenario)
    whole += f"_b{latency.batch_size}" if latency.batch_size > 1 else ""
    part = "" if whole == "e2e" else f"{whole}_"
    n = len(latency.samples_ms)
    metrics = {f"latency/{whole}_p50_ms": latency.median_ms, f"latency/{part}samples": float(n)}
    for percent, least in _MIN_SAMPLES.items():
        if n >= least:
            metrics[f"latency/{whole}_p{percent}_ms"] = latency.quantile_ms(percent / 100)
    if latency.enqueue_ms:
        metrics[f"latency/{whole}_enqueue_p50_ms"] = statistics.median(latency.enqueue_ms)
    for stage, samples in latency.stages_ms.items():
        metrics[f"latency/{part}stage/{stage}_ms"] = statistics.median(samples)
    if latency.peak_memory_mb is not None:
        metrics[f"memory/{part}peak_mb"] = latency.peak_memory_mb
    if latency.energy_mj is not None:
        metrics[f"energy/{whole}_mj"] = latency.energy_mj
    prefix = "invalid/" if latency.invalid else ""
    return {prefix + name: value for name, value in metrics.items()}


def latency_tags(latency: Latency) -> dict[str, str]:
    """Return why the times do not count, if they do not."""
    text = f"{latency.scenario}: {latency.invalid}"
    return {"latency_invalid": text[:LONGEST_VALUE]} if latency.invalid else {}


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
