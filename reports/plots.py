"""Rows to figures. The only place that knows matplotlib; draws without a display."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.aggregate import IOUS, ArmRow, Summary
from reports.curves import Curve, Points
from reports.figure_math import Box, label_places, pareto, smoothed
from reports.figure_style import DASHES, DPI, INK, PALETTE, SOFT, STYLE, arm_colours


class _Label:
    """The name of an arm beside its point."""

    def __init__(self, row: ArmRow, point: tuple[float, float], colour: str) -> None:
        self.text = f"{row.arm} (baseline)" if row.is_baseline else row.arm
        self.weight = "bold" if row.is_baseline else "normal"
        self.point = point
        self.colour = colour


def draw(summary: Summary) -> dict[str, dict[str, bytes]]:
    """Return stem → suffix → file content of every figure that has something to show."""
    files: dict[str, dict[str, bytes]] = {}
    for stem, drawing in _drawings().items():
        with _style(stem):
            figure = drawing(summary)
            if figure is not None:
                files[stem] = {kind: _encoded(figure, kind) for kind in ("svg", "png")}
    return files


def stems(summary: Summary) -> tuple[str, ...]:
    """Return the stems of the figures that `draw` would draw, in less time."""
    found = []
    for stem, drawing in _drawings().items():
        with _style(stem):
            found += [] if drawing(summary) is None else [stem]
    return tuple(found)


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
    device = summary.session.device
    unit = "ms an image (CPU)" if summary.session.device_type == "cpu" else "ms an image"
    axes.set(xlabel=f"{unit}, median, on {device}", ylabel="mask AP, points")
    axes.set_title("Accuracy against time")
    hint = "dashed: no arm is both faster and better"
    axes.set_title(hint, loc="right", fontsize=9, weight="normal", color=SOFT)
    _label(axes, [_Label(row, (ms, ap), colours[row.arm]) for row, ms, ap in points], front)
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
        panels[0].plot(IOUS, _numbers(row.mask_by_iou), **style)
        if baseline is not None and width == 2:
            difference = np.subtract(_numbers(row.mask_by_iou), _numbers(baseline.mask_by_iou))
            panels[1].plot(IOUS, difference, **style)
    panels[0].set(title="Mask AP at each IoU threshold", ylabel="mask AP, points")
    panels[0].set_ylim(bottom=0)
    if baseline is not None and width == 2:
        panels[1].set(title=f"Difference to {baseline.arm}", ylabel="Δ mask AP, points")
    for axes in panels:
        axes.set(xlabel="IoU threshold", xticks=IOUS[::2])
    _legend_below(figure, panels[0])
    return figure


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
            _loss_line(axes, curve.losses.get(name, ()), i, curve.label)
        axes.set_title(f"{name} loss".replace("_", " "))
        axes.set_ylim(bottom=0)
    if validated:
        _validation(panels[len(names)], curves)
    for axes in panels[:panels_needed]:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("iteration")
    for axes in panels[panels_needed:]:
        axes.set_axis_off()
    _legend_below(figure, panels[0])
    return figure


def stages(summary: Summary) -> Figure | None:
    """Return one bar for every arm, cut into its stages, with the end-to-end median marked."""
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
        title="Where the milliseconds go", xlabel=f"{unit}, median, on {summary.session.device}"
    )
    _legend_below(figure, axes, columns=5)
    return figure


def _drawings() -> Mapping[str, Callable[[Summary], Figure | None]]:
    return {
        "ap_against_ms": ap_against_ms,
        "ap_by_iou": ap_by_iou,
        "losses": losses,
        "stages": stages,
    }


def _label(axes: Axes, labels: Sequence[_Label], line: Sequence[tuple[float, float]]) -> None:
    """Write every label beside its point, where it covers nothing."""
    figure = axes.figure
    figure.canvas.draw()  # fixes the layout: only now are places known
    scale = 72 / figure.dpi  # pixels to typographic points, the same in SVG and PNG
    sizes = []
    for label in labels:
        probe = axes.text(0, 0, label.text, fontsize=10, weight=label.weight)
        extent = probe.get_window_extent()
        probe.remove()
        sizes.append((scale * extent.width, scale * extent.height))
    frame = axes.get_window_extent()

    def place_of(point: tuple[float, float]) -> tuple[float, float]:
        x, y = axes.transData.transform(point)
        return scale * float(x), scale * float(y)

    places = label_places(
        [place_of(label.point) for label in labels],
        sizes,
        Box(scale * frame.x0, scale * frame.y0, scale * frame.width, scale * frame.height),
        [place_of(point) for point in line],
    )
    for label, place in zip(labels, places, strict=True):
        axes.annotate(
            label.text,
            label.point,
            xytext=(place.right * place.gap, place.up * place.gap),
            textcoords="offset points",
            ha={1: "left", -1: "right", 0: "center"}[place.right],
            va={1: "bottom", -1: "top", 0: "center"}[place.up],
            fontsize=10,
            weight=label.weight,
            color=label.colour,
            arrowprops={"arrowstyle": "-", "color": label.colour} if place.is_far else None,
            zorder=4,
        )


def _loss_line(axes: Axes, points: Points, place: int, label: str) -> None:
    if not points:
        axes.plot([], [], color=PALETTE[place % len(PALETTE)], label=label)
        return
    iterations, values = np.array(points).T
    colour = PALETTE[place % len(PALETTE)]
    smooth = smoothed(values)
    if len(values) > 8:
        axes.plot(iterations, values, color=colour, lw=0.7, alpha=0.28)
    axes.plot(iterations, smooth, color=colour, lw=1.8, label=label)
    # The first iterations are far above the rest: the axis is for what comes after them.
    if len(values) > 20:
        top = max(axes.get_ylim()[1] if axes.lines[2:] else 0.0, 1.15 * float(smooth[3:].max()))
        axes.set_ylim(top=top)


def _validation(axes: Axes, curves: Sequence[Curve]) -> None:
    for i, curve in enumerate(curves):
        points = curve.validation.get("mask_ap", ())
        colour = PALETTE[i % len(PALETTE)]
        axes.plot(
            [iteration for iteration, _ in points],
            [100 * fraction for _, fraction in points],
            color=colour,
            marker="o",
            ms=4,
            lw=1.8,
        )
    axes.set_title("validation mask AP, points")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)


def _end_to_end(axes: Axes, row: ArmRow, place: int, stages_end: float) -> None:
    if row.timing is None:
        return
    median = row.timing.median_ms
    axes.plot(median, place, marker="|", ms=17, mew=2.2, color=INK)
    axes.annotate(
        f"{median:.1f} ms end to end",
        (max(median, stages_end), place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
    )


def _legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    handles, labels = axes.get_legend_handles_labels()
    count = min(columns, max(1, len(handles)))
    figure.legend(handles, labels, loc="outside lower center", ncols=count, fontsize=9.5)


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


@contextmanager
def _style(salt: str) -> Iterator[None]:
    # The salt makes the ids inside an SVG depend on the figure alone, not on chance.
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):  # type: ignore[dict-item]
        yield


def _encoded(figure: Figure, kind: str) -> bytes:
    out = BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, dpi=DPI, metadata=metadata)
    return out.getvalue()
