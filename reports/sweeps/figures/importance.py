"""Which parameters the objectives go with."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import INK, PALETTE, label_rows
from reports.sweeps.numbers import notation
from yolact_bench.results.sweep import Sweep

_SHOWN = 12


def importance(sweep: Sweep) -> Figure | None:
    """Return bars for each objective, largest first."""
    metrics = {metric: shares for metric, shares in sweep.importance.items() if shares}
    if not metrics:
        return None
    longest = min(_SHOWN, max(len(shares) for shares in metrics.values()))
    width = 8.6 if len(metrics) == 1 else 5.2 * len(metrics)
    figure = Figure(figsize=(width, 1.2 + 0.42 * longest))
    panels = np.atleast_1d(figure.subplots(1, len(metrics))).tolist()
    for place, (axes, (metric, shares)) in enumerate(zip(panels, metrics.items(), strict=True)):
        largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        _bars(axes, largest, PALETTE[place % len(PALETTE)])
        axes.set(title=notation(metric).words, xlabel="share")
        axes.set_ylim(longest - 0.45, -0.55)
    return figure


def _bars(axes: Axes, shares: list[tuple[str, float]], colour: str) -> None:
    values = [share for _, share in shares]
    axes.barh(range(len(shares)), values, height=0.62, color=colour)
    label_rows(axes, [name for name, _ in shares])
    for place, share in enumerate(values):
        axes.annotate(f"{100 * share:.0f} %", (share, place), xytext=(5, 0), va="center",
                      textcoords="offset points", fontsize=9.5, color=INK)  # fmt: skip
    axes.set_xlim(0, max([*values, 1e-9]) * 1.16)
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
