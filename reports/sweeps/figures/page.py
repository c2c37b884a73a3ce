"""The figures of a sweep."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from reports.figures import encoded, styled
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
