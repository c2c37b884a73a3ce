"""The figures of a sweep."""

from reports.figures.style import FigureSet
from reports.sweeps.figures.front import front
from reports.sweeps.figures.history import history
from reports.sweeps.figures.parameters import importance, slices
from reports.sweeps.figures.trainings import trainings
from yolact_bench.results.sweep import Sweep

FIGURES: FigureSet[Sweep] = FigureSet(
    {
        "front": front,
        "history": history,
        "trainings": trainings,
        "importance": importance,
        "slices": slices,
    },
    salt="sweep ",
)
