"""Causes of lost AP by arm."""

from matplotlib.figure import Figure

from reports.figures.style import PALETTE, label_rows, legend_below
from reports.summary.aggregate import Summary
from reports.tables.errors import TYPES, error_types, errors_of, mean_points
from yolact_bench.results.record import Errors

# The pair counts what the types count already: not in the same bar.
_TOTALS = ("false_positive", "false_negative")


def errors(summary: Summary) -> Figure | None:
    """Return a bar for every arm, cut into the AP50 that each type of error costs."""
    rows = [row for row in summary.rows if errors_of(row, summary)]
    names = [name for name in error_types(summary, _mask) if name not in _TOTALS]
    if not rows or not names:
        return None
    figure = Figure(figsize=(8.6, 1.7 + 0.5 * len(rows)))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        left = 0.0
        for i, name in enumerate(names):
            # An error whose fix would cost AP (it happens, by little) has no length.
            points = max(0.0, mean_points(errors_of(row, summary), _mask, name) or 0.0)
            axes.barh(
                place,
                points,
                left=left,
                height=0.62,
                color=PALETTE[i % len(PALETTE)],
                ec="white",
                lw=0.6,
                label=TYPES.get(name, name) if place == 0 else None,
            )
            left += points
    label_rows(axes, [row.arm for row in rows])
    axes.invert_yaxis()
    axes.set(title="Causes of lost mask AP50", xlabel="points of AP50 gained by fixing each type")
    legend_below(figure, axes, columns=6)
    return figure


def _mask(errors: Errors) -> dict[str, float]:
    return dict(errors.mask)
