"""Rows to tables of text, whatever they are printed in. Formats numbers; computes none."""

from reports.summary.aggregate import Summary
from reports.summary.contrasts import HEADLINE
from reports.summary.metrics import IOUS
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.cells import UNDEFINED, Notes
from reports.tables.origins import anchor, origin
from reports.tables.table import Table
from yolact_bench.results.text import duration

_SIZES = {"": "AP", "_small": "S", "_medium": "M", "_large": "L"}
_LED = {"mask_ap": 1, "mask_ap50": 3, "mask_ap75": 4, "box_ap": 5}  # columns of the main table


def comparison(summary: Summary) -> Table:
    """Return the main table: accuracy, size and speed of every arm beside the baseline."""
    notes = Notes()
    timed = "latency" in summary.manifest.measure
    found = [c for c in summary.contrasts.found.values() if c.metric in HEADLINE]
    change = "Δ [95 %]" if found else "Δ"
    columns = ["arm", "mask AP", change, "AP50", "AP75", "box AP", change, "params, M"]
    columns += ["GMAC"] if _counted(summary) else []
    if timed:
        columns += [cells.milliseconds(summary.session), "× baseline [95 %]", "fps"]
    digits = cells.delta_digits(found)
    rows = []
    for row in summary.rows:
        metrics = row.metrics
        mask, box = (summary.contrasts.of(row.arm, metric) for metric in ("mask_ap", "box_ap"))
        rows.append(
            (
                legends.arm(summary, row, notes),
                cells.value(row, metrics["mask_ap"], notes),
                cells.delta(metrics["mask_ap"], mask, digits),
                cells.value(row, metrics["mask_ap50"], notes),
                cells.value(row, metrics["mask_ap75"], notes),
                cells.value(row, metrics["box_ap"], notes),
                cells.delta(metrics["box_ap"], box, digits),
                cells.millions(row, notes),
                *([cells.giga_macs(row, notes)] if _counted(summary) else []),
                *(cells.speed(row, notes) if timed else ()),
            )
        )
    return Table(
        title="Accuracy and speed",
        columns=tuple(columns),
        rows=tuple(rows),
        baseline=baseline_row(summary),
        notes=notes.lines(
            *legends.meaning(summary),
            *([legends.MACS] if _counted(summary) else []),
            *legends.times(summary.session),
        ),
        bold=_leading(summary),
        faint=_unsure(summary),
        tips=_origins(summary),
        links={place: anchor(place) for place, row in enumerate(summary.rows) if row.accuracies},
    )


def changes(summary: Summary) -> Table:
    """Return what each arm changes."""
    described = [(row.arm, cells.choices(row.changes) or "nothing") for row in summary.rows]
    return Table(
        title="What each arm changes",
        columns=("arm", f"changes to {summary.manifest.base}"),
        rows=tuple(described),
        baseline=baseline_row(summary),
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
        baseline=baseline_row(summary),
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
        baseline=baseline_row(summary),
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
            duration(t.seconds),
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


def baseline_row(summary: Summary) -> int | None:
    """Return the place of the baseline among the rows."""
    places = [place for place, row in enumerate(summary.rows) if row.is_baseline]
    return places[0] if places else None


def _counted(summary: Summary) -> bool:
    """Whether MACs are known: records from before they were counted have none."""
    return any(row.macs is not None for row in summary.rows)


def _first_of_speed(summary: Summary) -> int:
    """The place of the first column about time in the main table."""
    return 9 if _counted(summary) else 8


def _leading(summary: Summary) -> frozenset[tuple[int, int]]:
    """Cells of the main table whose arm is really ahead of the others."""
    place = {row.arm: i for i, row in enumerate(summary.rows)}
    leaders = summary.contrasts.leaders
    found = {(place[leaders[name]], column) for name, column in _LED.items() if name in leaders}
    if summary.session and summary.session.fastest is not None:
        first = _first_of_speed(summary)
        found |= {(place[summary.session.fastest], column) for column in (first, first + 2)}
    return frozenset(found)


def _unsure(summary: Summary) -> frozenset[tuple[int, int]]:
    """Cells of the main table whose Δ may be chance."""
    return frozenset(
        (place, column)
        for place, row in enumerate(summary.rows)
        for metric, column in (("mask_ap", 2), ("box_ap", 6))
        if (contrast := summary.contrasts.of(row.arm, metric)) and not contrast.is_real
    )


def _origins(summary: Summary) -> dict[tuple[int, int], str]:
    """Where the numbers of the main table come from, for a page that shows it on demand."""
    tips: dict[tuple[int, int], str] = {}
    first = _first_of_speed(summary)
    for place, row in enumerate(summary.rows):
        text = "; ".join(origin(a, seed) for seed, a in row.accuracies.items())
        tips |= {(place, column): text for column in range(1, first) if text}
        if row.timing and summary.session:
            s = summary.session
            text = f"session {s.name}, {s.label}, seed {s.seed}, "
            text += f"commit {s.environment.commit}, {s.device}"
            tips |= {(place, column): text for column in range(first, first + 3)}
    return tips
