"""What every trial reached, in order."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import SOFT, hint, legend_below
from reports.sweeps.figures.marks import BLUE, GREEN, ORANGE, base_line, clip, scale_of
from reports.sweeps.numbers import complete_trials, notation, running_best
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.sweep.keys import Objective

# States without a value: ticks under the trials.
_TICKS = {
    "failed": (ORANGE, "failed"),
    "over_budget": ("#cc79a7", "over the budget"),
    "skipped": (SOFT, "skipped: same as another"),
}


def history(sweep: Sweep) -> Figure | None:
    """Return a panel for every objective: trials by number, and the best so far."""
    if not complete_trials(sweep):
        return None
    count = len(sweep.objectives)
    figure = Figure(figsize=(8.6, 1.0 + 3.4 * count))
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, objective in zip(panels, sweep.objectives, strict=True):
        _panel(axes, sweep, objective)
    panels[0].set_title("Trials in order")
    better = "up" if sweep.objectives[0].maximise else "down"
    if count == 1:
        hint(panels[0], f"better: {better}")
    panels[-1].set_xlabel("trial")
    last = max(trial.number for trial in sweep.trials)
    panels[-1].set_xlim(-0.02 * last - 0.5, 1.02 * last + 0.5)
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    legend_below(figure, panels[0], columns=5)
    return figure


def _panel(axes: Axes, sweep: Sweep, objective: Objective) -> None:
    metric = notation(objective.metric)
    # A curve is of mask AP: only under that objective can its end be drawn with the others.
    curves = [t for t in sweep.trials if t.curve and objective.metric == "mask_ap"]
    pruned = [trial for trial in curves if trial.state == "pruned"]
    values = [metric.of(trial.metrics[objective.metric]) for trial in complete_trials(sweep)]
    values += [metric.of(trial.curve[-1]) for trial in pruned]
    scale = scale_of(values, objective, sweep)
    placed = [
        (trial.number, *clip(metric.of(trial.metrics[objective.metric]), scale))
        for trial in complete_trials(sweep)
    ]
    stopped = [(trial.number, *clip(metric.of(trial.curve[-1]), scale)) for trial in pruned]
    worse = "v" if objective.maximise else "^"
    looks = {
        "complete": ([d for d in placed if d[2] == "o"], "o", BLUE, 0.0, 0.55),
        "beyond the scale": ([d for d in placed if d[2] != "o"], worse, BLUE, 0.0, 0.55),
        "pruned, at its last validation": (stopped, "x", ORANGE, 1.4, 1.0),
    }
    for label, (points, marker, colour, lw, alpha) in looks.items():
        if points:
            x, y, _ = zip(*points, strict=True)
            look: dict[str, Any] = {"marker": marker, "color": colour, "lw": lw, "alpha": alpha}
            axes.scatter(x, y, s=30, zorder=2, label=label, **look)
    axes.set_ylim(*scale)
    _best_so_far(axes, sweep, objective)
    base_line(axes, sweep, objective)
    _ticks(axes, sweep)
    axes.set_ylabel(metric.axis)


def _best_so_far(axes: Axes, sweep: Sweep, objective: Objective) -> None:
    steps = running_best(sweep, objective)
    last = max(trial.number for trial in sweep.trials)
    x = [number for number, _ in steps] + [last]
    y = [notation(objective.metric).of(number) for _, number in steps]
    axes.plot(x, [*y, y[-1]], color=GREEN, lw=2, drawstyle="steps-post", label="best so far",
              zorder=3)  # fmt: skip


def _ticks(axes: Axes, sweep: Sweep) -> None:
    for state, (colour, label) in _TICKS.items():
        numbers = [trial.number for trial in sweep.trials if trial.state == state]
        if numbers:
            floor = [0.018] * len(numbers)
            axes.scatter(numbers, floor, marker="|", s=90, lw=1.6, color=colour, label=label,
                         transform=axes.get_xaxis_transform(), zorder=3)  # fmt: skip
