"""Latency against the number of detections or the image size."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import BASELINE, PALETTE, draw_files, legend_below
from yolact_bench.results.curve import LatencyCurve

# The part that the network does not explain: what detections cost.
_AFTER = ("nms", "assembly", "rescore", "upsample", "copy")


def draw_curve(curve: LatencyCurve, words: str) -> dict[str, bytes]:
    """Return suffix → file content: whole calls, and the stages after the network beside them."""
    return draw_files({"latency_curve": lambda curve: _figure(curve, words)}, curve)[
        "latency_curve"
    ]


def _figure(curve: LatencyCurve, words: str) -> Figure:
    split = any(stage in point.stages_ms for point in curve.points for stage in _AFTER)
    figure = Figure(figsize=(10 if split else 6, 4.4))
    panels = figure.subplots(1, 2 if split else 1, squeeze=False)[0]
    _calls(panels[0], curve)
    if split:
        _after_the_network(panels[1], curve)
    for axes in panels:
        axes.set(xlabel=words, xticks=curve.values)
        axes.set_ylim(bottom=0)
    legend_below(figure, panels[0])
    return figure


def _calls(axes: Axes, curve: LatencyCurve) -> None:
    for arm, colour in zip(curve.arms, _colours(curve), strict=True):
        points = [p for value in curve.values if (p := curve.at(arm, value))]
        axes.plot(
            [p.value for p in points],
            [p.median_ms for p in points],
            marker="o",
            ms=5,
            lw=1.8,
            color=colour,
            label=arm,
        )
        known = [p for p in points if p.interval_ms]
        axes.vlines(
            [p.value for p in known],
            [p.interval_ms[0] for p in known],
            [p.interval_ms[1] for p in known],
            color=colour,
            lw=3,
            alpha=0.35,
        )
    axes.set(title=f"{curve.scenario}, batch of {curve.batch_size}", ylabel=f"{curve.unit}, median")


def _after_the_network(axes: Axes, curve: LatencyCurve) -> None:
    for arm, colour in zip(curve.arms, _colours(curve), strict=True):
        points = [p for value in curve.values if (p := curve.at(arm, value))]
        sums = [sum(p.stages_ms.get(stage, 0.0) for stage in _AFTER) for p in points]
        axes.plot([p.value for p in points], sums, marker="o", ms=5, lw=1.8, color=colour)
    axes.set(title="NMS to masks: stages after the network", ylabel="ms, sum of stage medians")


def _colours(curve: LatencyCurve) -> list[str]:
    arms = range(len(curve.arms))
    return [BASELINE if i == 0 else PALETTE[(i - 1) % len(PALETTE)] for i in arms]
