"""What trials gain against what they cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.labels import Label, write_labels
from reports.figures.style import FAINT, INK, SOFT, hint, legend_below
from reports.sweeps.figures.marks import BLUE, ORANGE, clip, scale_of
from reports.sweeps.numbers import notation, ranking, value
from yolact_bench.results.sweep import Sweep, Trial
from yolact_bench.spec.sweep.keys import Objective

_LABELLED = 14  # trials of the front whose numbers are written beside them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plane:
    """Two metrics, and the ends of the axis of the one that is drawn upwards."""

    across: Objective
    up: Objective
    scale: tuple[float, float]

    def point(self, trial: Trial) -> tuple[float, float, str]:
        """Return where a trial is drawn, and its marker."""
        height = notation(self.up.metric).of(trial.metrics[self.up.metric])
        y, marker = clip(height, self.scale)
        return notation(self.across.metric).of(trial.metrics[self.across.metric]), y, marker


def front(sweep: Sweep) -> Figure | None:
    """Return the trials in the plane of two metrics, the front as a line of steps."""
    axes_of = _objectives(sweep)
    if axes_of is None:
        return None
    trials = [t for t in ranking(sweep) if value(t.metrics, axes_of[0].metric) is not None]
    if not trials:
        return None
    across, up = axes_of
    values = [notation(up.metric).of(trial.metrics[up.metric]) for trial in trials]
    plane = _Plane(across=across, up=up, scale=scale_of(values, up, sweep))
    figure = Figure(figsize=(8.6, 5.2))
    axes = figure.subplots()
    axes.set_ylim(*plane.scale)
    _rest(axes, plane, [trial for trial in trials if trial.number not in sweep.best])
    _base(axes, plane, sweep)
    _budget(axes, plane, sweep)
    best = [trial for trial in trials if trial.number in sweep.best]
    axes.margins(x=0.08)
    steps = _front(axes, plane, best, is_line=len(sweep.objectives) > 1)
    axes.set(xlabel=notation(across.metric).words, ylabel=notation(up.metric).axis)
    title = f"{notation(up.metric).words} against {notation(across.metric).words.split(',')[0]}"
    axes.set_title(title[0].upper() + title[1:])
    if len(sweep.objectives) > 1:
        hint(axes, f"better: {'up' if up.maximise else 'down'} and to the "
             f"{'right' if across.maximise else 'left'}")  # fmt: skip
    legend_below(figure, axes, columns=5)
    write_labels(axes, _labels(plane, best, sweep), steps)
    return figure


def _objectives(sweep: Sweep) -> tuple[Objective, Objective] | None:
    """What is drawn across and up: of one objective, latency and it, where both are known."""
    if len(sweep.objectives) > 1:
        up, across = sweep.objectives[:2]
        return (up, across) if across.maximise and not up.maximise else (across, up)
    latency = Objective(metric="latency_ms", maximise=False)
    if sweep.objectives[0].metric == latency.metric:
        return None
    return (latency, sweep.objectives[0])


def _rest(axes: Axes, plane: _Plane, trials: list[Trial]) -> None:
    labels = {"o": "other trials", "v": "below the scale", "^": "above the scale"}
    look: dict[str, Any] = {"s": 34, "color": SOFT, "alpha": 0.4, "lw": 0, "zorder": 2}
    for marker, label in labels.items():
        points = [p for p in map(plane.point, trials) if p[2] == marker]
        if points:
            x, y, _ = zip(*points, strict=True)
            axes.scatter(x, y, label=label, marker=marker, **look)


def _front(
    axes: Axes, plane: _Plane, best: list[Trial], *, is_line: bool
) -> list[tuple[float, float]]:
    points = sorted(plane.point(trial)[:2] for trial in best)
    if not points:
        return []
    name = "front" if is_line else "best trial"
    x, y = zip(*points, strict=True)
    axes.scatter(x, y, s=70, color=BLUE, ec="white", zorder=4, label=name)
    if not is_line:
        return []
    # Between two of its trials, the front is what the cheaper one reaches.
    end = axes.get_xlim()[0 if plane.across.maximise else 1]
    line = (
        [(end, points[0][1]), *points] if plane.across.maximise else [*points, (end, points[-1][1])]
    )
    style = "steps-pre" if plane.across.maximise else "steps-post"
    axes.plot(*zip(*line, strict=True), color=BLUE, lw=1.6, drawstyle=style, zorder=3)
    axes.set_xlim(axes.get_xlim())
    return list(_corners(line, before=plane.across.maximise))


def _corners(line: list[tuple[float, float]], *, before: bool) -> Iterator[tuple[float, float]]:
    """The points of a line of steps, the corners among them."""
    for (x0, y0), (x1, y1) in pairwise(line):
        yield x0, y0
        yield (x0, y1) if before else (x1, y0)
    yield line[-1]


def _base(axes: Axes, plane: _Plane, sweep: Sweep) -> None:
    x, y = (value(sweep.base_metrics, o.metric) for o in (plane.across, plane.up))
    if x is not None and y is not None:
        point = notation(plane.across.metric).of(x), notation(plane.up.metric).of(y)
        axes.scatter(
            [point[0]], [point[1]], s=85, marker="D", color=INK, ec="white", zorder=5, label="base"
        )


def _budget(axes: Axes, plane: _Plane, sweep: Sweep) -> None:
    """The budget as a line, and trials over it as ticks: they have a latency alone."""
    budget = sweep.latency_budget_ms
    if budget is None or plane.across.metric != "latency_ms":
        return
    over = [
        ms
        for trial in sweep.trials
        if trial.state == "over_budget" and (ms := value(trial.metrics, "latency_ms")) is not None
    ]
    if over:
        floor = [plane.scale[0]] * len(over)
        label = "over the budget: not trained"
        axes.scatter(over, floor, marker="|", s=160, lw=1.4, color=ORANGE, label=label, zorder=3)
    axes.axvline(budget, color=ORANGE, lw=1.4, ls=(0, (5, 2)), label=f"budget {budget:g} ms")
    axes.margins(x=0.08)
    axes.axvspan(budget, max([budget, *over]) * 1.02, color=FAINT, alpha=0.35, lw=0, zorder=0)


def _labels(plane: _Plane, best: list[Trial], sweep: Sweep) -> list[Label]:
    if len(best) > _LABELLED:
        every = -(-len(best) // _LABELLED)
        best = best[::every]
    return [
        Label(text=str(trial.number), point=plane.point(trial)[:2], colour=BLUE, size=9)
        for trial in best
    ]
