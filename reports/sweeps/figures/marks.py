"""What the figures of a sweep share: where the scale ends, and the marks of trials and base."""

from collections.abc import Sequence
from statistics import quantiles

from matplotlib.axes import Axes

from reports.figures.style import INK, PALETTE
from reports.sweeps.numbers import notation, value
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.sweep.keys import Objective

BLUE, ORANGE, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]
_REACH = 2.5  # interquartile ranges beyond a quartile; trials far off would flatten all others


def scale_of(values: Sequence[float], objective: Objective, sweep: Sweep) -> tuple[float, float]:
    """Return both ends of an axis: the base, all good trials, and bad ones unless far off."""
    base = value(sweep.base_metrics, objective.metric)
    also = [] if base is None else [notation(objective.metric).of(base)]
    low, high = min([*values, *also]), max([*values, *also])
    if len(values) >= 4:
        lower, _, upper = quantiles(values, method="inclusive")
        reach = _REACH * max(upper - lower, 0.05 * (high - low))
        if objective.maximise:
            low = min([max(low, lower - reach), *also])
        else:
            high = max([min(high, upper + reach), *also])
    room = 0.07 * (high - low) or abs(high) * 0.02 or 1.0
    return low - room, high + room


def clip(value: float, scale: tuple[float, float]) -> tuple[float, str]:
    """Return where a value is drawn and with what marker: beyond the scale, a wedge at its end."""
    if value < scale[0]:
        return scale[0] + 0.02 * (scale[1] - scale[0]), "v"
    if value > scale[1]:
        return scale[1] - 0.02 * (scale[1] - scale[0]), "^"
    return value, "o"


def base_line(axes: Axes, sweep: Sweep, objective: Objective) -> None:
    """Draw the base as a dashed line across."""
    base = value(sweep.base_metrics, objective.metric)
    if base is not None:
        height = notation(objective.metric).of(base)
        axes.axhline(height, color=INK, lw=1.1, ls=(0, (5, 3)), zorder=1, label="base")
