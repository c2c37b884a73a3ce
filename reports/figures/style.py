"""Colours, lines and letters of all figures, their legend and their files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Generic, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.summary.aggregate import Summary

T = TypeVar("T")

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
    "text.parse_math": False,  # names with dollars are no formulas
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


@dataclass(frozen=True, slots=True)
class FigureSet(Generic[T]):
    """The figures of one kind of page; each is drawn if it has something to show."""

    drawings: Mapping[str, Callable[[T], Figure | None]]  # by the stem of the file
    salt: str = ""
    style: Mapping[str, object] = field(default_factory=dict)  # beside STYLE

    def draw(self, subject: T, *, proxy: str | None) -> dict[str, dict[str, bytes]]:
        """Return stem → suffix → file content.

        A figure travels without its page: one of a `proxy`, a shortened budget, must say so itself.
        """
        files: dict[str, dict[str, bytes]] = {}
        for stem, drawing in self.drawings.items():
            # The salt makes the ids inside an SVG depend on the figure alone, not on chance.
            salt = self.salt + stem
            with mpl.rc_context({**STYLE, **self.style, "svg.hashsalt": salt}):  # type: ignore[dict-item]
                figure = drawing(subject)
                if figure is None:
                    continue
                if proxy is not None:
                    figure.text(0.5, 0.5, f"PROXY: {proxy} budget", **WATERMARK)
                files[stem] = {kind: _encode(figure, kind) for kind in ("svg", "png")}
        return files

    def stems(self, subject: T) -> tuple[str, ...]:
        """Return the stems alone, without encoding the figures."""
        with mpl.rc_context({**STYLE, **self.style}):  # type: ignore[dict-item]
            return tuple(stem for stem, one in self.drawings.items() if one(subject) is not None)


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Put the legend of `axes` under the whole figure."""
    handles, labels = axes.get_legend_handles_labels()
    count = min(columns, max(1, len(handles)))
    figure.legend(handles, labels, loc="outside lower center", ncols=count, fontsize=9.5)


def label_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the bars from top to bottom."""
    axes.set_yticks(range(len(names)), names)
    for tick in axes.get_yticklabels():
        tick.set_color(INK)
    axes.grid(axis="y", visible=False)


def stacked_bars(
    axes: Axes, names: Sequence[str], rows: Sequence[Sequence[float]], colours: Sequence[Any]
) -> list[float]:
    """Draw a bar for every row, cut into parts of these names; return where each bar ends."""
    ends = []
    for place, parts in enumerate(rows):
        left = 0.0
        for i, (name, length) in enumerate(zip(names, parts, strict=True)):
            label, colour = name if place == 0 else None, colours[i % len(colours)]
            look = {"height": 0.62, "color": colour, "ec": "white", "lw": 0.6}
            axes.barh(place, length, left=left, label=label, **look)
            left += length
        ends.append(left)
    axes.invert_yaxis()
    return ends


def write_beside(
    axes: Axes,
    text: str,
    point: tuple[float, float],
    offset: tuple[float, float],
    **style: Any,  # noqa: ANN401
) -> None:
    """Write a text at a distance from a point, in typographic points."""
    axes.annotate(text, point, xytext=offset, textcoords="offset points", **style)


def hint(axes: Axes, text: str) -> None:
    """Write a remark at the right end of the title's line."""
    axes.set_title(text, loc="right", fontsize=9, weight="normal", color=SOFT)


def _encode(figure: Figure, kind: str) -> bytes:
    out = BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, dpi=DPI, metadata=metadata)
    return out.getvalue()
