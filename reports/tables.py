"""Rows to tables of text, whatever they are printed in. Formats numbers; computes none."""

from dataclasses import dataclass

from reports import cells
from reports.aggregate import IOUS, Summary
from reports.cells import UNDEFINED, Notes
from reports.paper import Unit
from reports.timing import MIN_SAMPLES_P90, MIN_SAMPLES_P99

_SIZES = {"": "AP", "_small": "S", "_medium": "M", "_large": "L"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text. The first column names the row, the others are numbers or short words."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    baseline: int | None = None  # row to emphasise
    words: frozenset[int] = frozenset({0})  # columns to align left
    notes: tuple[str, ...] = ()


def comparison(summary: Summary) -> Table:
    """Return the main table: accuracy, size and speed of every arm beside the baseline."""
    notes = Notes()
    timed = "latency" in summary.manifest.measure
    columns = ["arm", "mask AP", "Δ", "AP50", "AP75", "box AP", "Δ", "params, M"]
    if timed:
        columns += [cells.milliseconds(summary.session), "× baseline [95 %]", "fps"]
    rows = []
    for row in summary.rows:
        metrics = row.metrics
        rows.append(
            (
                cells.arm(row, notes),
                cells.value(row, metrics["mask_ap"], notes),
                cells.delta(metrics["mask_ap"]),
                cells.value(row, metrics["mask_ap50"], notes),
                cells.value(row, metrics["mask_ap75"], notes),
                cells.value(row, metrics["box_ap"], notes),
                cells.delta(metrics["box_ap"]),
                cells.millions(row, notes),
                *(cells.speed(row, notes) if timed else ()),
            )
        )
    return Table(
        title="Accuracy and speed",
        columns=tuple(columns),
        rows=tuple(rows),
        baseline=_baseline(summary),
        notes=notes.lines(*cells.meaning(summary), *cells.times(summary.session)),
    )


def changes(summary: Summary) -> Table:
    """Return what each arm changes."""
    described = [(row.arm, cells.choices(row.changes) or "nothing") for row in summary.rows]
    return Table(
        title="What each arm changes",
        columns=("arm", f"changes to {summary.manifest.base}"),
        rows=tuple(described),
        baseline=_baseline(summary),
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
        baseline=_baseline(summary),
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
        baseline=_baseline(summary),
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


def latency(summary: Summary) -> Table:
    """Return the quantiles of the times of the chosen session."""
    notes = Notes()
    rows = []
    for row in summary.rows:
        t = row.timing
        if t is None:
            rows.append((row.arm, *[cells.untimed(row, notes)] * 8))
            continue
        rows.append(
            (
                row.arm,
                cells.optional_ms(t.median_ms),
                cells.optional_ms(t.p90_ms),
                cells.optional_ms(t.p99_ms),
                str(t.n),
                f"{t.fps:.1f}",
                cells.ratio(row, t, notes),
                t.precision,
                cells.megabytes(t.peak_memory_mb),
            )
        )
    unit = cells.milliseconds(summary.session)
    return Table(
        title="Latency",
        columns=(
            "arm",
            f"median {unit}",
            "p90",
            "p99",
            "n",
            "fps",
            "× baseline [95 %]",
            "precision",
            "peak MB",
        ),
        rows=tuple(rows),
        baseline=_baseline(summary),
        notes=notes.lines(
            *cells.times(summary.session),
            f"p90 needs {MIN_SAMPLES_P90} samples, p99 {MIN_SAMPLES_P99}; – where there are fewer.",
        ),
    )


def stages(summary: Summary) -> Table:
    """Return the median time of every stage."""
    names = stage_names(summary)
    notes = Notes()
    return Table(
        title="Stages, median ms",
        columns=("arm", *names),
        rows=tuple(
            (
                row.arm,
                *(
                    cells.optional_ms(row.timing.stages_ms.get(name))
                    if row.timing
                    else cells.untimed(row, notes)
                    for name in names
                ),
            )
            for row in summary.rows
        ),
        baseline=_baseline(summary),
        notes=notes.lines(
            "Timed in rounds of their own with a synchronisation after each stage: they need "
            "not sum to the total."
        ),
    )


def stage_names(summary: Summary) -> tuple[str, ...]:
    """Return the stages that occur, in order of execution."""
    timings = [row.timing for row in summary.rows if row.timing]
    return tuple(dict.fromkeys(name for timing in timings for name in timing.stages_ms))


def trainings(summary: Summary) -> Table:
    """Return the trainings, with the arms that share each."""
    rows = [
        (
            t.label,
            f"{t.iterations:,}",
            cells.duration(t.seconds),
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


def paper(summary: Summary) -> Table | None:
    """Return the published rows that the ablation asks for."""
    group = summary.paper
    if group is None:
        return None
    rows = []
    for row in group.rows:
        values = [_published(row.values.get(name), unit) for name, unit in group.units.items()]
        source = f"{row.source} ({row.where})" if row.where else row.source
        mark = "" if row.checked else " †"
        rows.append((row.name + mark, *values, row.split, row.gpu or "", source))
    recalled = any(not row.checked for row in group.rows)
    width = len(group.units)
    return Table(
        title=f"Published: {group.title}",
        columns=(
            "",
            *(unit.label for unit in group.units.values()),
            "split",
            "speed on",
            "source",
        ),
        rows=tuple(rows),
        words=frozenset({0, width + 1, width + 2, width + 3}),
        notes=("† recalled, not read again in the source: not a pass mark.",) if recalled else (),
    )


def digests(summary: Summary) -> Table:
    """Return the digests by which the records of every run are found."""
    runs = [run for row in summary.rows for run in row.runs]
    return Table(
        title="Runs",
        columns=("arm", "seed", "train digest", "forward digest", "detect digest"),
        rows=tuple(
            (r.arm, str(r.seed), r.train_digest, r.forward_digest, r.detect_digest) for r in runs
        ),
        words=frozenset({0, 2, 3, 4}),
    )


def _published(number: float | None, unit: Unit) -> str:
    if number is None:
        return ""
    return cells.signed(number, unit.digits) if unit.signed else f"{number:.{unit.digits}f}"


def _baseline(summary: Summary) -> int | None:
    places = [place for place, row in enumerate(summary.rows) if row.is_baseline]
    return places[0] if places else None
