"""The figures of a sweep."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from reports.figures.style import draw_files, stems_of
from reports.sweeps.figures.front import front
from reports.sweeps.figures.history import history
from reports.sweeps.figures.importance import importance
from reports.sweeps.figures.slices import slices
from reports.sweeps.figures.trainings import trainings
from yolact_bench.results.sweep import Sweep

_DRAWINGS: Mapping[str, Callable[[Sweep], Figure | None]] = {
    "front": front,
    "history": history,
    "trainings": trainings,
    "importance": importance,
    "slices": slices,
}


def draw(sweep: Sweep) -> dict[str, dict[str, bytes]]:
    """Return stem → suffix → file content of every figure that has something to show."""
    return draw_files(_DRAWINGS, sweep, salt="sweep ")


def stems(sweep: Sweep) -> tuple[str, ...]:
    """Return the stems of the figures that `draw` would draw, in less time."""
    return stems_of(_DRAWINGS, sweep)
