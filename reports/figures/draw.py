"""The figures of an ablation's report; drawn without a display."""

from reports.figures.accuracy import ap_against_ms, ap_by_iou
from reports.figures.bars import errors, stages
from reports.figures.forest import differences
from reports.figures.losses import losses
from reports.figures.style import FigureSet
from reports.summary.aggregate import Summary

FIGURES: FigureSet[Summary] = FigureSet(
    {
        "differences": differences,
        "ap_against_ms": ap_against_ms,
        "ap_by_iou": ap_by_iou,
        "errors": errors,
        "losses": losses,
        "stages": stages,
    }
)


def draw(summary: Summary) -> dict[str, dict[str, bytes]]:
    """Return stem → suffix → file content of every figure that has something to show."""
    return FIGURES.draw(summary, proxy=summary.proxy)
