"""Names beside points, where they cover nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from reports.figures.geometry import Box, label_places


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The name of a point."""

    text: str
    point: tuple[float, float]
    colour: str
    weight: str = "normal"
    size: float = 10


def write_labels(axes: Axes, labels: Sequence[Label], line: Sequence[tuple[float, float]]) -> None:
    """Write every label beside its point; `line` is kept free. The last thing to draw."""
    figure = axes.figure
    figure.canvas.draw()  # fixes the layout: only now are places known
    scale = 72 / figure.dpi  # pixels to typographic points, the same in SVG and PNG
    sizes = []
    for label in labels:
        probe = axes.text(0, 0, label.text, fontsize=label.size, weight=label.weight)
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
            fontsize=label.size,
            weight=label.weight,
            color=label.colour,
            arrowprops={"arrowstyle": "-", "color": label.colour} if place.is_far else None,
            zorder=4,
        )
