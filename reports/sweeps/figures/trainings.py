"""Validation AP during the trainings of trials: why some were stopped."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import SOFT, legend_below
from reports.sweeps.figures.marks import BLUE, ORANGE
from yolact_bench.results.sweep import Sweep, Trial

# State → colour, width, opacity, layer, words. The best trial is drawn over all others.
_LINES: dict[str, tuple[str, float, float, int, str]] = {
    "complete": (SOFT, 1.1, 0.5, 2, "complete"),
    "pruned": (ORANGE, 1.1, 0.75, 3, "pruned where the line ends"),
    "running": (BLUE, 1.1, 0.5, 2, "running"),
    "failed": ("#cc79a7", 1.1, 0.8, 2, "failed where the line ends"),
    "best": (BLUE, 2.4, 1.0, 4, "best"),
}


def trainings(sweep: Sweep) -> Figure | None:
    """Return a line for every trial that was validated while it trained."""
    followed = [trial for trial in sweep.trials if len(trial.curve) > 1]
    if not followed:
        return None
    figure = Figure(figsize=(8.6, 4.6))
    axes = figure.subplots()
    for kind in _LINES:
        of_kind = [t for t in followed if kind == ("best" if t.number in sweep.best else t.state)]
        for place, trial in enumerate(of_kind):
            _line(axes, trial, kind, is_first=place == 0)
    axes.set(xlabel="iteration", ylabel="validation mask AP, points")
    axes.set_title("Trials while they train")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    legend_below(figure, axes, columns=5)
    return figure


def _line(axes: Axes, trial: Trial, kind: str, *, is_first: bool) -> None:
    colour, width, opacity, layer, words = _LINES[kind]
    points = [100 * value for value in trial.curve]
    style: dict[str, Any] = {"color": colour, "alpha": opacity, "zorder": layer}
    axes.plot(trial.iterations, points, lw=width, label=words if is_first else None, **style)
    if kind in ("pruned", "failed"):
        axes.plot(trial.iterations[-1], points[-1], marker="x", ms=5.5, mew=1.6, **style)
