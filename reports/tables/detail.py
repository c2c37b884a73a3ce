"""What each arm changes, its accuracy in detail, and its training."""

from reports.summary.aggregate import Summary
from reports.tables import cells
from reports.tables.cells import UNDEFINED
from reports.tables.table import Notes, Table
from yolact_bench.results.metrics import IOUS
from yolact_bench.results.text import duration

_SIZES = {"": "AP", "_small": "S", "_medium": "M", "_large": "L"}


def changes(summary: Summary) -> Table:
    """Return what each arm changes."""
    described = [(row.arm, cells.choices(row.changes) or "nothing") for row in summary.rows]
    return Table(
        title="What each arm changes",
        columns=("arm", f"changes to {summary.manifest.base}"),
        rows=tuple(described),
        baseline=summary.baseline_place,
        words=frozenset({0, 1}),
    )


def sizes(summary: Summary) -> Table:
    """Return AP by object size, and average recall."""
    names = [f"{kind}_ap{size}" for kind in ("mask", "box") for size in _SIZES]
    names += ["mask_ar1", "mask_ar10", "mask_ar100"]
    columns = [f"{kind} {size}" for kind in ("mask", "box") for size in _SIZES.values()]
    columns += ["mask AR1", "AR10", "AR100"]
    notes = Notes()
    return Table(
        title="By object size, and recall",
        columns=("arm", *columns),
        rows=tuple(
            (row.arm, *(cells.value(row, row.metrics[name], notes) for name in names))
            for row in summary.rows
        ),
        baseline=summary.baseline_place,
        notes=notes.lines(
            "S: objects under 32² px, M: under 96² px, L: larger. ARn: average recall with n "
            f"detections an image. {UNDEFINED}: no ground truth of that size."
        ),
    )


def ious(summary: Summary) -> Table:
    """Return mask AP at every IoU threshold."""
    notes = Notes()
    return Table(
        title="Mask AP by IoU threshold",
        columns=("arm", *(f"{iou:.2f}" for iou in IOUS)),
        rows=tuple(
            (row.arm, *(cells.point(row, value, notes) for value in row.mask_by_iou))
            for row in summary.rows
        ),
        baseline=summary.baseline_place,
        notes=notes.lines(),
    )


def classes(summary: Summary) -> Table:
    """Return mask AP of every class; one column per arm."""
    names = dict.fromkeys(name for row in summary.rows for name in row.mask_by_class)
    notes = Notes()
    return Table(
        title="Mask AP by class",
        columns=("class", *(row.arm for row in summary.rows)),
        rows=tuple(
            (name, *(cells.point(row, row.mask_by_class.get(name), notes) for row in summary.rows))
            for name in names
        ),
        notes=notes.lines(),
    )


def trainings(summary: Summary) -> Table:
    """Return the trainings, with the arms that share each."""
    rows = [
        (
            t.label,
            f"{t.iterations:,}",
            duration(t.seconds, days=False),
            f"{t.images_per_second:.1f}",
            cells.megabytes(t.peak_memory_mb),
            str(t.skipped_annotations),
            t.train_digest,
        )
        for t in summary.trainings
    ]
    return Table(
        title="Trainings",
        columns=("arms", "iterations", "time", "images/s", "peak MB", "skipped", "digest"),
        rows=tuple(rows),
        words=frozenset({0, 6}),
        notes=(
            "Arms in one row share one checkpoint: they differ only after training.",
            "skipped: degenerate annotations left out of training.",
        ),
    )
