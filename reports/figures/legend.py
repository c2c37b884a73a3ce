"""What several figures share: the legend, and lines with gaps."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Put the legend of `axes` under the whole figure."""
    handles, labels = axes.get_legend_handles_labels()
    count = min(columns, max(1, len(handles)))
    figure.legend(handles, labels, loc="outside lower center", ncols=count, fontsize=9.5)


def numbers(values: Sequence[float | None]) -> list[float]:
    """Return the values, NaN where there is none."""
    return [float("nan") if value is None else value for value in values]
