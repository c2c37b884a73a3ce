"""The figures of a profile: a bar of its stages, and where they are below the roof."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import INK, SOFT, FigureSet, write_beside
from yolact_bench.results.profile import Ceiling, Profile


def draw(profile: Profile) -> dict[str, dict[str, bytes]]:
    """Return stem → suffix → file content of every figure."""
    figures = FigureSet(
        {"stages": stage_bar, "roofline": roofline},
        style={"text.parse_math": True},  # powers of ten on the logarithmic axes
    )
    return figures.draw(profile, proxy=None)


def roofline(profile: Profile) -> Figure:
    """Return achieved GFLOP/s against FLOP a byte, below what the device was measured to do."""
    figure = Figure(figsize=(8.6, 5.2))
    axes = figure.subplots()
    placed = [
        (stage, intensity, gflops)
        for stage in profile.stages
        if (intensity := stage.intensity) and (gflops := stage.gflops)
    ]
    intensities = [intensity for _, intensity, _ in placed]
    top = profile.ceiling
    ridge = top.gflops / top.gigabytes_per_second
    low = min([*intensities, ridge]) / 3
    high = max([*intensities, ridge]) * 4
    _draw_roof(axes, top, low, high)
    colours = mpl.colormaps["tab20"](np.arange(len(placed)) * 2 % 20 + np.arange(len(placed)) // 10)
    for place, (stage, intensity, gflops) in enumerate(placed):
        share = (stage.ms or 0.0) / profile.stages_ms
        look = {"s": 30 + 900 * share, "color": colours[place], "alpha": 0.75}
        axes.scatter(intensity, gflops, edgecolor="white", **look)
        axes.plot([], [], "o", color=colours[place], label=f"{stage.stage} {share:.0%}")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="FLOP for each byte moved",
        ylabel="GFLOP/s",
        title=f"{_title(profile)}: below the roof; area is time",
    )
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


def _draw_roof(axes: Axes, top: Ceiling, low: float, high: float) -> None:
    """Draw the measured limits of the device between two intensities."""
    x = np.geomspace(low, high, 200)
    axes.plot(x, [top.at(float(value)) for value in x], color=INK, lw=1.6)
    gflops, moved = f"{top.gflops:.0f} GFLOP/s", f"{top.gigabytes_per_second:.0f} GB/s"
    write_beside(axes, gflops, (high, top.gflops), (-4, 5), ha="right", color=SOFT)
    write_beside(axes, moved, (low * 1.3, top.at(low * 1.3)), (-24, 20), color=SOFT)


def stage_bar(profile: Profile) -> Figure:
    """Return one bar for every timed stage, in order of execution."""
    timed = [stage for stage in profile.stages if stage.ms is not None]
    figure = Figure(figsize=(8.2, 1.4 + 0.36 * len(timed)))
    axes = figure.subplots()
    colours = mpl.colormaps["tab20c"]([0])
    axes.barh([s.stage for s in timed], [s.ms or 0.0 for s in timed], color=colours, height=0.62)
    for place, stage in enumerate(timed):
        ms = stage.ms or 0.0
        text = f"{ms:.2f} ms, {ms / profile.stages_ms:.1%}"
        write_beside(axes, text, (ms, place), (5, 0), va="center", fontsize=9)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.22)
    env = profile.environment
    axes.set(title=_title(profile), xlabel=f"ms, median, on {env.device}")
    return figure


def _title(profile: Profile) -> str:
    return f"{profile.arm}, {profile.runtime}".replace("$", r"\$")
