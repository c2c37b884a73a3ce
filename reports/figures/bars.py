"""Stacked bars, one for every arm: what AP is lost to, and where the milliseconds go."""

from operator import attrgetter
from statistics import fmean

import matplotlib as mpl
from matplotlib.figure import Figure

from reports.figures.style import INK, PALETTE, label_rows, legend_below, stacked_bars, write_beside
from reports.summary.aggregate import Summary
from reports.tables.errors import TYPES, arms_with_errors, error_types, errors_of, points_of
from yolact_bench.results.record import OPPOSITES


def errors(summary: Summary) -> Figure | None:
    """Return a bar for every arm, cut into the AP50 that each type of error costs."""
    rows, part = arms_with_errors(summary), attrgetter("mask")
    # The opposites count what the types count already: not in the same bar.
    names = [name for name in error_types(summary, part) if name not in OPPOSITES]
    if not rows or not names:
        return None
    figure = Figure(figsize=(8.6, 1.7 + 0.5 * len(rows)))
    axes = figure.subplots()
    # An error whose fix would cost AP, which is rare and little, has no length.
    parts = [
        [max(0.0, fmean(points_of(errors_of(row, summary), part, n) or [0.0])) for n in names]
        for row in rows
    ]
    stacked_bars(axes, [TYPES.get(name, name) for name in names], parts, PALETTE)
    label_rows(axes, [row.arm for row in rows])
    axes.set(title="Causes of lost mask AP50", xlabel="points of AP50 gained by fixing each type")
    legend_below(figure, axes, columns=6)
    return figure


def stages(summary: Summary) -> Figure | None:
    """Return one bar for every arm, cut into its stages, with the median of whole calls marked."""
    rows = [row for row in summary.rows if row.timing and row.timing.stages_ms]
    if not rows or summary.session is None:
        return None
    timings = [row.timing for row in rows if row.timing]
    names = list(dict.fromkeys(name for timing in timings for name in timing.stages_ms))
    colours = mpl.colormaps["tab20c"]([0, 1, 2, 4, 5, 8, 9, 12, 13, 16, 17, 18]).tolist()
    figure = Figure(figsize=(8.6, 1.7 + 0.5 * len(rows)))
    axes = figure.subplots()
    parts = [[timing.stages_ms.get(name, 0.0) for name in names] for timing in timings]
    ends = stacked_bars(axes, names, parts, colours)
    for place, (timing, end) in enumerate(zip(timings, ends, strict=True)):
        median = timing.median_ms
        axes.plot(median, place, marker="|", ms=17, mew=2.2, color=INK)
        whole, beside = f"{median:.1f} ms a call", (max(median, end), place)
        write_beside(axes, whole, beside, (7, 0), va="center", fontsize=9, color=INK)
    label_rows(axes, [row.arm for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row.is_baseline else "normal")
    axes.margins(x=0.1)
    axes.set(
        title=f"Where the milliseconds go: {summary.session.label}",
        xlabel=f"{summary.session.unit}, median, on {summary.session.environment.device}",
    )
    legend_below(figure, axes, columns=5)
    return figure
