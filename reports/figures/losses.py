"""Losses and validation during training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.geometry import smooth
from reports.figures.style import PALETTE, legend_below
from reports.summary.aggregate import Summary
from reports.summary.curves import Curve, Points


def losses(summary: Summary) -> Figure | None:
    """Return one panel for every loss and one for validation, one line for every training."""
    curves = summary.curves
    names = list(dict.fromkeys(name for curve in curves for name in curve.losses))
    validated = any(curve.validation.get("mask_ap") for curve in curves)
    if not names and not validated:
        return None
    panels_needed = len(names) + validated
    columns = min(3, panels_needed)
    lines = -(-panels_needed // columns)
    figure = Figure(figsize=(3.9 * columns, 2.7 * lines + 0.5))
    panels = np.atleast_1d(figure.subplots(lines, columns)).ravel().tolist()
    for axes, name in zip(panels, names, strict=False):
        for i, curve in enumerate(curves):
            colour = PALETTE[i % len(PALETTE)]
            _loss_line(axes, curve.losses.get(name, ()), colour, curve.label)
        axes.set_title(f"{name} loss".replace("_", " "))
        axes.set_ylim(bottom=0)
    if validated:
        _validation(panels[len(names)], curves)
    for axes in panels[:panels_needed]:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("iteration")
    for axes in panels[panels_needed:]:
        axes.set_axis_off()
    legend_below(figure, panels[0])
    return figure


def _loss_line(axes: Axes, points: Points, colour: str, label: str) -> None:
    if not points:
        axes.plot([], [], color=colour, label=label)
        return
    iterations, values = np.array(points).T
    curve = smooth(values)
    if len(values) > 8:
        axes.plot(iterations, values, color=colour, lw=0.7, alpha=0.28)
    axes.plot(iterations, curve, color=colour, lw=1.8, label=label)
    # The first iterations are far above the rest: the axis is for what comes after them.
    if len(values) > 20:
        top = max(axes.get_ylim()[1] if axes.lines[2:] else 0.0, 1.15 * float(curve[3:].max()))
        axes.set_ylim(top=top)


def _validation(axes: Axes, curves: Sequence[Curve]) -> None:
    for i, curve in enumerate(curves):
        points = curve.validation.get("mask_ap", ())
        iterations, heights = [x for x, _ in points], [100 * fraction for _, fraction in points]
        colour = PALETTE[i % len(PALETTE)]
        axes.plot(iterations, heights, color=colour, marker="o", ms=4, lw=1.8)
    axes.set_title("validation mask AP, points")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
