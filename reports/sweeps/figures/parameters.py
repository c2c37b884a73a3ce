"""Parameters: which of them the objectives go with, and an objective against each."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from reports.figures.style import INK, PALETTE, label_rows, write_beside
from reports.sweeps.figures.marks import BLUE, ORANGE, base_line, clip, scale_of
from reports.sweeps.numbers import complete_trials, notation
from yolact_bench.results.sweep import Sweep, Trial
from yolact_bench.spec.sweep.keys import Objective

_SHOWN = 12  # bars of one objective
_PANELS = 6  # of one objective
_BESIDE = 4  # of several: one line of panels for each
_WIDE = 20  # a range of so many times its smallest value is drawn on a logarithmic axis
_FEW = 8  # different values: drawn as places, not along an axis
_GOLDEN = 0.6180339887  # the fractional parts of its multiples are spread evenly
_LATE = LinearSegmentedColormap.from_list("late", ["#b9d7ea", BLUE, "#00304d"])


def importance(sweep: Sweep) -> Figure | None:
    """Return bars for each objective, largest first."""
    metrics = {metric: shares for metric, shares in sweep.importance.items() if shares}
    if not metrics:
        return None
    longest = min(_SHOWN, max(len(shares) for shares in metrics.values()))
    width = 8.6 if len(metrics) == 1 else 5.2 * len(metrics)
    figure = Figure(figsize=(width, 1.2 + 0.42 * longest))
    panels = np.atleast_1d(figure.subplots(1, len(metrics))).tolist()
    for place, (axes, (metric, shares)) in enumerate(zip(panels, metrics.items(), strict=True)):
        largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        _bars(axes, largest, PALETTE[place % len(PALETTE)])
        axes.set(title=notation(metric).words, xlabel="share")
        axes.set_ylim(longest - 0.45, -0.55)
    return figure


def _bars(axes: Axes, shares: list[tuple[str, float]], colour: str) -> None:
    values = [share for _, share in shares]
    axes.barh(range(len(shares)), values, height=0.62, color=colour)
    label_rows(axes, [name for name, _ in shares])
    for place, share in enumerate(values):
        text, point = f"{100 * share:.0f} %", (share, place)
        write_beside(axes, text, point, (5, 0), va="center", fontsize=9.5, color=INK)
    axes.set_xlim(0, max([*values, 1e-9]) * 1.16)
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")


def slices(sweep: Sweep) -> Figure | None:
    """Return a row for every objective, a panel for every parameter that mattered."""
    names = _parameters(sweep)
    if not names or len(complete_trials(sweep)) < 2:
        return None
    several = len(sweep.objectives) > 1
    columns = min(_BESIDE if several else 3, len(names))
    lines = -(-len(names) // columns)
    rows = lines * len(sweep.objectives)
    figure = Figure(figsize=(1.0 + (2.7 if several else 3.3) * columns, 0.5 + 2.75 * rows))
    panels = figure.subplots(rows, columns, squeeze=False)
    for place, objective in enumerate(sweep.objectives):
        scale = _scale(sweep, objective)
        for i in range(lines * columns):
            axes = panels[place * lines + i // columns][i % columns]
            if i >= len(names):
                axes.set_visible(False)
                continue
            _panel(axes, sweep, objective, names[i], scale)
            if i % columns == 0:
                axes.set_ylabel(notation(objective.metric).words)
            else:
                axes.tick_params(labelleft=False)
    return figure


def _parameters(sweep: Sweep) -> list[str]:
    """The parameters that varied, most important first, for all objectives together."""
    varied = {
        name: {str(t.params[name]) for t in complete_trials(sweep) if name in t.params}
        for trial in complete_trials(sweep)
        for name in trial.params
    }
    names = [name for name, values in varied.items() if len(values) > 1]
    shares = {
        name: max([of.get(name, 0.0) for of in sweep.importance.values()], default=0.0)
        for name in names
    }
    return sorted(names, key=lambda name: -shares[name])[
        : _PANELS if len(sweep.objectives) == 1 else _BESIDE
    ]


def _scale(sweep: Sweep, objective: Objective) -> tuple[float, float]:
    metric = notation(objective.metric)
    values = [metric.of(trial.metrics[objective.metric]) for trial in complete_trials(sweep)]
    return scale_of(values, objective, sweep)


def _panel(
    axes: Axes, sweep: Sweep, objective: Objective, name: str, scale: tuple[float, float]
) -> None:
    trials = [trial for trial in complete_trials(sweep) if name in trial.params]
    across = _places(axes, [trial.params[name] for trial in trials], trials)
    metric = notation(objective.metric)
    points = [clip(metric.of(trial.metrics[objective.metric]), scale) for trial in trials]
    last = max(1, *(trial.number for trial in sweep.trials))
    base_line(axes, sweep, objective)
    for x, (y, marker), trial in zip(across, points, trials, strict=True):
        is_best = trial.number in sweep.best
        size, edge, width, layer = (46, ORANGE, 1.7, 4) if is_best else (24, "white", 0.4, 2)
        colour = [_LATE(trial.number / last)]
        axes.scatter(x, y, s=size, marker=marker, color=colour, ec=edge, lw=width, zorder=layer)
    axes.set_ylim(*scale)
    axes.set_title(name, fontsize=10, color=INK)


def _places(axes: Axes, values: Sequence[object], trials: Sequence[Trial]) -> list[float]:
    """Where each value lies across; points of few distinct values are spread about their place."""
    different = sorted(set(map(str, values)), key=_order)
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    # Numbers that never occur twice come from a range, however few there are yet.
    if are_numbers and (len(different) > _FEW or len(different) == len(values)):
        numbers = [float(str(value)) for value in values]
        if min(numbers) > 0 and max(numbers) / min(numbers) >= _WIDE:
            axes.set_xscale("log")
            # Below two decades, powers of ten alone would leave an axis with one number.
            steps = (1.0,) if max(numbers) / min(numbers) >= 100 else (1.0, 3.0)
            axes.xaxis.set_major_locator(LogLocator(subs=steps))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.locator_params(axis="x", nbins=5)
        return numbers
    axes.set_xticks(range(len(different)), [_shorten(text) for text in different])
    axes.set_xlim(-0.6, len(different) - 0.4)
    axes.grid(axis="x", visible=False)
    places = {text: place for place, text in enumerate(different)}
    return [
        places[str(value)] + 0.56 * ((trial.number * _GOLDEN) % 1 - 0.5)
        for value, trial in zip(values, trials, strict=True)
    ]


def _order(text: str) -> tuple[float, str]:
    """Numbers by size, words by letters."""
    try:
        return float(text), ""
    except ValueError:
        return float("inf"), text


def _shorten(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text if len(text) <= 14 else f"{text[:13]}…"
