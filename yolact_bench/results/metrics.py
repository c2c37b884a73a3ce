"""The accuracies of a record by name, and their titles."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from yolact_bench.results.record import Accuracy, ApSummary
from yolact_bench.spec.accuracies import ACCURACIES

RESAMPLED = tuple(name for name in ACCURACIES if "_ap" in name)  # AP has resamples, AR has none


@runtime_checkable
class Summaries(Protocol):
    """COCO's metrics of masks and boxes."""

    @property
    def mask(self) -> ApSummary: ...
    @property
    def box(self) -> ApSummary: ...


def fraction(scores: Summaries, metric: str) -> float | None:
    """Return one of `ACCURACIES`, such as mask_ap50; None where it is undefined."""
    kind, name = metric.split("_", 1)
    value: float | None = getattr(scores.mask if kind == "mask" else scores.box, name)
    return value


def points(accuracy: Accuracy, metric: str) -> float | None:
    """Return the metric in percentage points; None where it is undefined."""
    return in_points(fraction(accuracy, metric))


def in_points(value: float | None) -> float | None:
    """Return a fraction in percentage points; None where it is undefined."""
    return None if value is None else 100 * value


def title(metric: str) -> str:
    """Return the metric as a table prints it: mask AP50, box AP small, mask AR1."""
    kind, name = metric.replace("_ar_1", "_ar1").split("_", 1)
    return f"{kind} {name[:2].upper()}{name[2:].replace('_', ' ')}"


def seeds_text(seeds: Sequence[int]) -> str:
    """Return seed 0, or seeds 0, 1."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
