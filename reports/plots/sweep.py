"""The figures of a sweep."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from reports.plots import encoded, styled
from reports.plots.sweep_front import front
from reports.plots.sweep_history import history
from reports.plots.sweep_importance import importance
from reports.plots.sweep_slices import slices
from reports.plots.sweep_trainings import trainings
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
    files: dict[str, dict[str, bytes]] = {}
    for stem, drawing in _DRAWINGS.items():
        with styled(f"sweep {stem}"):
            figure = drawing(sweep)
            if figure is not None:
                files[stem] = {kind: encoded(figure, kind) for kind in ("svg", "png")}
    return files


def stems(sweep: Sweep) -> tuple[str, ...]:
    """Return the stems of the figures that `draw` would draw, in less time."""
    found = []
    for stem, drawing in _DRAWINGS.items():
        with styled(f"sweep {stem}"):
            found += [] if drawing(sweep) is None else [stem]
    return tuple(found)
