"""The accuracies a table may print: their names, and where a record holds them."""

from collections.abc import Mapping, Sequence

from yolact_bench.results.record import Accuracy, ApSummary

IOUS = tuple(round(0.50 + 0.05 * i, 2) for i in range(10))
# Our name of a COCO metric → field of ApSummary, in table order.
_FIELDS: Mapping[str, str] = {
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
METRICS = tuple(f"{kind}_{name}" for kind in ("mask", "box") for name in _FIELDS)
AP_METRICS = tuple(name for name in METRICS if "_ap" in name)  # those that can be resampled


def fraction(accuracy: Accuracy, metric: str) -> float | None:
    """Return the metric of a record, such as mask_ap50; None where it is undefined."""
    kind, name = metric.split("_", 1)
    summary: ApSummary = accuracy.mask if kind == "mask" else accuracy.box
    value: float | None = getattr(summary, _FIELDS[name])
    return value


def points(accuracy: Accuracy, metric: str) -> float | None:
    """Return the metric in percent points; None where it is undefined."""
    value = fraction(accuracy, metric)
    return None if value is None else 100 * value


def title(metric: str) -> str:
    """Return the metric as a table prints it: mask AP50, box AP small."""
    kind, name = metric.split("_", 1)
    return f"{kind} {name[:2].upper()}{name[2:].replace('_', ' ')}"


def seeds_text(seeds: Sequence[int]) -> str:
    """Return seed 0, or seeds 0, 1."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
