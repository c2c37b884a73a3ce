"""Causes of lost AP by arm."""

from statistics import fmean

from matplotlib.figure import Figure

from reports.figures.style import PALETTE, label_rows, legend_below, stacked_bars
from reports.summary.aggregate import Summary
from reports.tables.errors import TYPES, arms_with_errors, error_types, errors_of, points_of
from yolact_bench.results.record import Errors

# The pair counts what the types count already: not in the same bar.
_TOTALS = ("false_positive", "false_negative")


def errors(summary: Summary) -> Figure | None:
    """Return a bar for every arm, cut into the AP50 that each type of error costs."""
    rows = arms_with_errors(summary)
    names = [name for name in error_types(summary, _mask) if name not in _TOTALS]
    if not rows or not names:
        return None
    figure = Figure(figsize=(8.6, 1.7 + 0.5 * len(rows)))
    axes = figure.subplots()
    # An error whose fix would cost AP (it happens, by little) has no length.
    parts = [
        [max(0.0, fmean(points_of(errors_of(row, summary), _mask, n) or [0.0])) for n in names]
        for row in rows
    ]
    stacked_bars(axes, [TYPES.get(name, name) for name in names], parts, PALETTE)
    label_rows(axes, [row.arm for row in rows])
    axes.set(title="Causes of lost mask AP50", xlabel="points of AP50 gained by fixing each type")
    legend_below(figure, axes, columns=6)
    return figure


def _mask(errors: Errors) -> dict[str, float]:
    return dict(errors.mask)
