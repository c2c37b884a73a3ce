"""Latency against the number of detections or the image size."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import BASELINE, PALETTE, FigureSet, legend_below
from yolact_bench.results.curve import CurvePoint, LatencyCurve

# The part that the network does not explain: what detections cost.
_AFTER = ("nms", "assembly", "rescore", "upsample", "copy")


def draw_curve(curve: LatencyCurve, words: str) -> dict[str, bytes]:
    """Return suffix → file content: whole calls, and the stages after the network beside them."""
    figures = FigureSet({"latency_curve": lambda curve: _figure(curve, words)})
    return figures.draw(curve, proxy=None)["latency_curve"]


def _figure(curve: LatencyCurve, words: str) -> Figure:
    split = any(stage in point.stages_ms for point in curve.points for stage in _AFTER)
    figure = Figure(figsize=(10 if split else 6, 4.4))
    panels = figure.subplots(1, 2 if split else 1, squeeze=False)[0]
    for place, arm in enumerate(curve.arms):
        colour = PALETTE[(place - 1) % len(PALETTE)] if place else BASELINE
        _draw_arm(panels, [p for value in curve.values if (p := curve.at(arm, value))], colour)
    call = f"{curve.scenario}, batch of {curve.batch_size}"
    panels[0].set(title=call, ylabel=f"{curve.unit}, median")
    if split:
        after = "NMS to masks: stages after the network"
        panels[1].set(title=after, ylabel="ms, sum of stage medians")
    for axes in panels:
        axes.set(xlabel=words, xticks=curve.values)
        axes.set_ylim(bottom=0)
    legend_below(figure, panels[0])
    return figure


def _draw_arm(panels: Sequence[Axes], points: Sequence[CurvePoint], colour: str) -> None:
    """Draw whole calls with their intervals, and in a second panel the stages after the network."""
    line: Mapping[str, Any] = {"marker": "o", "ms": 5, "lw": 1.8, "color": colour}
    values = [p.value for p in points]
    panels[0].plot(values, [p.median_ms for p in points], label=points[0].arm, **line)
    known = [p for p in points if p.interval_ms]
    low, high = ([p.interval_ms[end] for p in known] for end in (0, 1))
    panels[0].vlines([p.value for p in known], low, high, color=colour, lw=3, alpha=0.35)
    for axes in panels[1:]:
        axes.plot(values, [sum(p.stages_ms.get(s, 0.0) for s in _AFTER) for p in points], **line)
