"""The numbers of a sweep as people read them: units, differences, the order of trials."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.tables.cells import choices
from yolact_bench.results.metrics import title
from yolact_bench.results.sweep import Sweep, Trial
from yolact_bench.spec.sweep.keys import Objective
from yolact_bench.text import signed_decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Notation:
    """How a metric is printed."""

    words: str  # with its unit
    scale: float  # factor from the recorded value
    digits: int

    @property
    def axis(self) -> str:
        """The words along an axis."""
        return f"{self.words}, points" if self.scale == 100 else self.words

    def of(self, value: float) -> float:
        """Return a recorded value in this unit."""
        return self.scale * value

    def text(self, value: float) -> str:
        """Return a recorded value as printed."""
        return f"{self.of(value):.{self.digits}f}".replace("-", "−")

    def delta(self, value: float, base: float) -> str:
        """Return the difference of two recorded values, with its sign."""
        return signed_decimal(self.of(value - base), self.digits)


_UNITS: Mapping[str, Notation] = {
    "latency_ms": Notation(words="latency, ms", scale=1, digits=2),
    "latency_ratio": Notation(words="latency to the base", scale=1, digits=3),
    "macs": Notation(words="GMACs", scale=1e-9, digits=2),
    "parameters": Notation(words="parameters, M", scale=1e-6, digits=2),
    "train_seconds": Notation(words="training, s", scale=1, digits=0),
    "peak_memory_mb": Notation(words="peak memory, MB", scale=1, digits=0),
}


def notation(metric: str) -> Notation:
    """Return how a metric is printed; AP and AR, recorded as fractions, in points."""
    if metric.startswith(("mask_a", "box_a")):
        return Notation(words=title(metric), scale=100, digits=2)
    return _UNITS.get(metric, Notation(words=metric.replace("_", " "), scale=1, digits=3))


def value(metrics: Mapping[str, float], metric: str) -> float | None:
    """Return the metric of a trial or of the base; None where it is not known, or not finite."""
    number = metrics.get(metric)
    return number if number is not None and math.isfinite(number) else None


def is_better(a: float, b: float, objective: Objective) -> bool:
    """Return whether `a` is better than `b`, and not equal to it."""
    return a > b if objective.maximise else a < b


def complete_trials(sweep: Sweep) -> tuple[Trial, ...]:
    """Return the complete trials of which every objective is known, in their order."""
    return tuple(
        trial
        for trial in sweep.trials
        if trial.state == "complete"
        and all(value(trial.metrics, one.metric) is not None for one in sweep.objectives)
    )


def ranking(sweep: Sweep) -> tuple[Trial, ...]:
    """Return the scored trials, best first.

    Of several objectives: the front, then the front of what remains, and so on; within a front
    by the first objective. Of equals the earlier trial leads.
    """
    rest, order = list(complete_trials(sweep)), []
    while rest:
        front = [t for t in rest if not any(_dominates(o, t, sweep.objectives) for o in rest)]
        order += sorted(front, key=lambda trial: _keys(trial, sweep.objectives))
        rest = [trial for trial in rest if trial not in front]
    return tuple(order)


def running_best(sweep: Sweep, objective: Objective) -> list[tuple[int, float]]:
    """Return number and value of every trial that was better than all before it."""
    best: list[tuple[int, float]] = []
    for trial in sorted(complete_trials(sweep), key=lambda trial: trial.number):
        number = value(trial.metrics, objective.metric)
        if number is not None and (not best or is_better(number, best[-1][1], objective)):
            best.append((trial.number, number))
    return best


def short_choices(trial: Trial) -> str:
    """Return what a trial changes, numbers rounded for reading; commands have them in full."""
    return choices({path: _round(choice) for path, choice in trial.changes.items()})


def _round(choice: object) -> object:
    if isinstance(choice, Mapping):
        return {key: _round(item) for key, item in choice.items()}
    return f"{choice:.3g}" if isinstance(choice, float) else choice


def _keys(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """What sorts trials by the first objective, then the next; small is good."""
    signs = [-1.0 if objective.maximise else 1.0 for objective in objectives]
    values = [trial.metrics[objective.metric] for objective in objectives]
    return tuple(sign * number for sign, number in zip(signs, values, strict=True))


def _dominates(a: Trial, b: Trial, objectives: Sequence[Objective]) -> bool:
    first, second = _keys(a, objectives), _keys(b, objectives)
    return first != second and all(x <= y for x, y in zip(first, second, strict=True))
