"""Every arm's difference to the baseline, with its interval."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.figures.style import FAINT, INK, SOFT, arm_colours, write_beside
from reports.summary.aggregate import Summary
from yolact_bench.results.contrasts import HEADLINE, Contrast
from yolact_bench.results.metrics import title
from yolact_bench.text import signed_decimal

_BAND = 0.72  # height of the band of what could not be seen


def differences(summary: Summary) -> Figure | None:
    """Return a panel for mask AP and one for box AP, a line for every arm; filled: real."""
    panels = {
        metric: [c for row in summary.rows if (c := summary.contrasts.of(row.arm, metric))]
        for metric in HEADLINE
    }
    panels = {metric: contrasts for metric, contrasts in panels.items() if contrasts}
    if not panels:
        return None
    everything = [contrast for contrasts in panels.values() for contrast in contrasts]
    arms = [row.arm for row in summary.rows if any(c.arm == row.arm for c in everything)]
    figure = Figure(figsize=(1.2 + 4.7 * len(panels), 1.75 + 0.52 * len(arms)))
    axes_of_panels = np.atleast_1d(figure.subplots(1, len(panels), sharey=True)).tolist()
    colours = arm_colours(summary)
    for axes, (metric, contrasts) in zip(axes_of_panels, panels.items(), strict=True):
        for contrast in contrasts:
            _line(axes, contrast, arms.index(contrast.arm), colours[contrast.arm])
        axes.axvline(0, color=INK, lw=1.1, zorder=1)
        axes.set(title=f"Δ {title(metric)}", xlabel=f"points, to {summary.manifest.baseline}")
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
    axes_of_panels[0].set_yticks(range(len(arms)), arms)
    axes_of_panels[0].set_ylim(len(arms) - 0.45, -0.55)
    for tick in axes_of_panels[0].get_yticklabels():
        tick.set_color(INK)
    figure.supxlabel(_hint(everything), fontsize=9, color=SOFT, x=0.02, ha="left")
    return figure


def _line(axes: Axes, contrast: Contrast, place: int, colour: str) -> None:
    """One arm: the band of what could not be seen, its interval, its value."""
    if contrast.testable:
        corner = (-contrast.mde, place - _BAND / 2)
        band = Rectangle(corner, 2 * contrast.mde, _BAND, color=FAINT, alpha=0.55, lw=0, zorder=0)
        axes.add_patch(band)
    axes.plot([contrast.low, contrast.high], [place, place], color=colour, lw=2.2, zorder=2)
    value, fill = contrast.value, colour if contrast.is_real else "white"
    axes.plot(value, place, marker="o", ms=9, mew=2, color=colour, mfc=fill, zorder=3)
    text, box = f"{signed_decimal(value, 2)} {contrast.verdict}", {"fc": "white", "alpha": 0.75}
    style = {"ha": "center", "va": "bottom", "fontsize": 8.5, "color": INK, "zorder": 4}
    write_beside(axes, text, (value, place), (0, 9), bbox={**box, "lw": 0, "pad": 0.8}, **style)


def _hint(contrasts: Sequence[Contrast]) -> str:
    parts = ["lines: 95 % intervals", "filled: real", "open: not shown to be real"]
    if any(c.testable for c in contrasts):
        parts.append("grey: smaller than what would be found with 80 % probability")
    return "; ".join(parts)
