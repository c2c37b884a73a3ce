"""Colours, lines and letters of all figures."""

from collections.abc import Mapping
from typing import Any

from reports.summary.aggregate import Summary

DPI = 150
INK, SOFT, FAINT = "#1c2127", "#5c6672", "#d9dee4"
BASELINE = "#1c2127"
# Okabe and Ito's colours, which remain apart with every common colour blindness.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f", "#7a7a7a")
DASHES = ("-", (0, (5, 1.5)), (0, (2, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
STYLE: Mapping[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": SOFT,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",  # the same everywhere, whatever fonts a reader has
}
# Over a figure whose numbers stand in for others.
WATERMARK: Mapping[str, Any] = {
    "ha": "center",
    "va": "center",
    "fontsize": 34,
    "weight": "bold",
    "color": SOFT,
    "alpha": 0.22,
    "rotation": 24,
    "zorder": 10,
}


def arm_colours(summary: Summary) -> dict[str, str]:
    """Return a colour for every arm, the same in every figure; the baseline is black."""
    others = [row.arm for row in summary.rows if not row.is_baseline]
    colours = {arm: PALETTE[i % len(PALETTE)] for i, arm in enumerate(others)}
    return {row.arm: colours.get(row.arm, BASELINE) for row in summary.rows}
