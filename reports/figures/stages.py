"""Where the milliseconds go."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import INK, legend_below
from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow


def stages(summary: Summary) -> Figure | None:
    """Return one bar for every arm, cut into its stages, with the median of whole calls marked."""
    rows = [row for row in summary.rows if row.timing and row.timing.stages_ms]
    if not rows or summary.session is None:
        return None
    names = list(dict.fromkeys(n for row in rows if row.timing for n in row.timing.stages_ms))
    colours = mpl.colormaps["tab20c"]([0, 1, 2, 4, 5, 8, 9, 12, 13, 16, 17, 18])
    figure = Figure(figsize=(8.6, 1.7 + 0.5 * len(rows)))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        left = 0.0
        for i, name in enumerate(names):
            ms = row.timing.stages_ms.get(name, 0.0) if row.timing else 0.0
            label = name if place == 0 else None
            axes.barh(
                place,
                ms,
                left=left,
                height=0.62,
                color=colours[i % 12],
                ec="white",
                lw=0.6,
                label=label,
            )
            left += ms
        _end_to_end(axes, row, place, left)
    axes.set_yticks(range(len(rows)), [row.arm for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set(color=INK, weight="bold" if row.is_baseline else "normal")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.1)
    unit = "ms (CPU)" if summary.session.device_type == "cpu" else "ms"
    axes.set(
        title=f"Where the milliseconds go: {summary.session.label}",
        xlabel=f"{unit}, median, on {summary.session.device}",
    )
    legend_below(figure, axes, columns=5)
    return figure


def _end_to_end(axes: Axes, row: ArmRow, place: int, stages_end: float) -> None:
    if row.timing is None:
        return
    median = row.timing.median_ms
    axes.plot(median, place, marker="|", ms=17, mew=2.2, color=INK)
    axes.annotate(
        f"{median:.1f} ms a call",
        (max(median, stages_end), place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
    )
