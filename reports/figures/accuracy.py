"""Accuracy as figures: against time, and by IoU threshold."""

import numpy as np
from matplotlib.figure import Figure

from reports.figures.geometry import pareto
from reports.figures.labels import Label, write_labels
from reports.figures.style import DASHES, SOFT, arm_colours, hint, legend_below
from reports.summary.aggregate import Summary
from yolact_bench.statistics.matches import IOU_THRESHOLDS


def ap_against_ms(summary: Summary) -> Figure | None:
    """Return mask AP against milliseconds: up and to the left is better."""
    points = [
        (row, row.timing.median_ms, value.mean)
        for row in summary.rows
        if row.timing and (value := row.metrics["mask_ap"])
    ]
    if not points or summary.session is None:
        return None
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    front = pareto([(ms, ap) for _, ms, ap in points])
    axes.plot(*zip(*front, strict=True), color=SOFT, lw=1.2, ls=(0, (4, 2)), zorder=1)
    colours = arm_colours(summary)
    for row, ms, ap in points:
        value = row.metrics["mask_ap"]
        if value and value.spread is not None:
            axes.errorbar(ms, ap, yerr=value.spread, color=colours[row.arm], capsize=3, lw=1.2)
        marker, size = ("D", 95) if row.is_baseline else ("o", 80)
        axes.scatter(ms, ap, s=size, marker=marker, color=colours[row.arm], ec="white", zorder=3)
    axes.margins(0.16, 0.18)
    s = summary.session
    unit = "ms a call (CPU)" if s.environment.device_type == "cpu" else "ms a call"
    across = f"{unit}, {s.label}, median, on {s.environment.device}"
    axes.set(xlabel=across, ylabel="mask AP, points")
    axes.set_title("Accuracy against time")
    hint(axes, "dashed: no arm is both faster and better")
    labels = [
        Label(
            text=f"{row.arm} (baseline)" if row.is_baseline else row.arm,
            point=(ms, ap),
            colour=colours[row.arm],
            weight="bold" if row.is_baseline else "normal",
        )
        for row, ms, ap in points
    ]
    write_labels(axes, labels, front)
    return figure


def ap_by_iou(summary: Summary) -> Figure | None:
    """Return mask AP at each threshold and, as arms differ by little, the difference beside it."""
    rows = [row for row in summary.rows if any(v is not None for v in row.mask_by_iou)]
    if not rows:
        return None
    baseline = next((row for row in rows if row.is_baseline), None)
    width = 1 if baseline is None or len(rows) == 1 else 2
    figure = Figure(figsize=(5.4 * width, 4.6))
    panels = np.atleast_1d(figure.subplots(1, width)).tolist()
    colours = arm_colours(summary)
    dashes = {row.arm: DASHES[i % len(DASHES)] for i, row in enumerate(summary.rows)}
    for row in rows:
        style = {"color": colours[row.arm], "ls": dashes[row.arm], "lw": 1.9, "label": row.arm}
        own = np.array(row.mask_by_iou, float)  # NaN where there is none
        panels[0].plot(IOU_THRESHOLDS, own, **style)
        if baseline is not None and width == 2:
            panels[1].plot(IOU_THRESHOLDS, own - np.array(baseline.mask_by_iou, float), **style)
    panels[0].set(title="Mask AP at each IoU threshold", ylabel="mask AP, points")
    panels[0].set_ylim(bottom=0)
    if baseline is not None and width == 2:
        panels[1].set(title=f"Difference to {baseline.arm}", ylabel="Δ mask AP, points")
    for axes in panels:
        axes.set(xlabel="IoU threshold", xticks=IOU_THRESHOLDS[::2])
    legend_below(figure, panels[0])
    return figure
