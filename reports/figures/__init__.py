"""Rows to figures. The only place that knows matplotlib; draws without a display."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

import matplotlib as mpl
from matplotlib.figure import Figure

from reports.figures.accuracy import ap_against_ms, ap_by_iou
from reports.figures.errors import errors
from reports.figures.forest import differences
from reports.figures.losses import losses
from reports.figures.stages import stages
from reports.figures.style import DPI, STYLE, WATERMARK
from reports.summary.aggregate import Summary

_DRAWINGS: Mapping[str, Callable[[Summary], Figure | None]] = {
    "differences": differences,
    "ap_against_ms": ap_against_ms,
    "ap_by_iou": ap_by_iou,
    "errors": errors,
    "losses": losses,
    "stages": stages,
}


def draw(summary: Summary) -> dict[str, dict[str, bytes]]:
    """Return stem → suffix → file content of every figure that has something to show."""
    files: dict[str, dict[str, bytes]] = {}
    for stem, drawing in _DRAWINGS.items():
        with styled(stem):
            figure = drawing(summary)
            if figure is not None:
                _watermark(figure, summary)
                files[stem] = {kind: encoded(figure, kind) for kind in ("svg", "png")}
    return files


def stems(summary: Summary) -> tuple[str, ...]:
    """Return the stems of the figures that `draw` would draw, in less time."""
    found = []
    for stem, drawing in _DRAWINGS.items():
        with styled(stem):
            found += [] if drawing(summary) is None else [stem]
    return tuple(found)


def _watermark(figure: Figure, summary: Summary) -> None:
    """A figure travels without its page: what is no result must say so itself."""
    if summary.proxy is not None:
        figure.text(0.5, 0.5, f"PROXY: {summary.proxy} budget", **WATERMARK)


@contextmanager
def styled(salt: str) -> Iterator[None]:
    """Draw in the style of all figures."""
    # The salt makes the ids inside an SVG depend on the figure alone, not on chance.
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):  # type: ignore[dict-item]
        yield


def encoded(figure: Figure, kind: str) -> bytes:
    """Return the content of a file of this kind: png or svg."""
    out = BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, dpi=DPI, metadata=metadata)
    return out.getvalue()
