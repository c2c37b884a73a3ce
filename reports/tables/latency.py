"""Times as tables: one for each session, so one scenario, batch size and load."""

from collections.abc import Callable

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow, Timing
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.table import Column, Notes, Table, tabulate
from yolact_bench.results.text import decimal, milliseconds, with_interval
from yolact_bench.statistics.timing import MIN_SAMPLES_P90, MIN_SAMPLES_P99

_STATISTICS = (
    f"IQR: between the quartiles, ms. p90 needs {MIN_SAMPLES_P90} samples, p99 "
    f"{MIN_SAMPLES_P99}; – where there are fewer. n: timed calls, all of them kept. "
    "fps: images a second, from the median."
)


def latency(summary: Summary, session: SessionRow) -> Table:
    """Return the times of a session: median, spread, quantiles, ratio to the baseline."""
    timings = session.timings
    unit = "ms (CPU)" if session.device_type == "cpu" else "ms"

    def timed(head: str, cell: Callable[[Timing], str], *, shown: bool = True) -> Column[ArmRow]:
        return _timed(session, head, lambda _row, t, _notes: cell(t), shown=shown)

    def arm(row: ArmRow, notes: Notes) -> str:
        t = timings.get(row.arm)
        return f"{row.arm} {notes.mark(*t.warnings)}".strip() if t else row.arm

    return tabulate(
        f"Latency: {session.label}",
        (
            Column("arm", arm, words=True),
            Column("scenario", lambda _row, _notes: session.label, words=True),
            timed(f"median {unit} [95 %]", lambda t: with_interval(t.median_ms, t.interval_ms)),
            timed("IQR", lambda t: milliseconds(t.iqr_ms)),
            timed("p90", lambda t: milliseconds(t.p90_ms)),
            timed("p99", lambda t: milliseconds(t.p99_ms)),
            timed("n", lambda t: str(t.n)),
            timed("fps", lambda t: decimal(t.fps, 1)),
            _timed(session, "× baseline [95 %]", cells.ratio),
            timed("precision", lambda t: t.precision),
            timed("peak MB", lambda t: cells.megabytes(t.peak_memory_mb)),
            timed(
                "detections",
                lambda t: decimal(t.detections, 1),
                shown=any(t.detections is not None for t in timings.values()),
            ),
            timed(
                "mJ an image",
                lambda t: cells.millijoules(t.energy_mj),
                shown=any(t.energy_mj is not None for t in timings.values()),
            ),
        ),
        summary.rows,
        baseline=summary.baseline_place,
        notes=(*legends.times(session), _STATISTICS),
    )


def _timed(
    session: SessionRow,
    head: str,
    cell: Callable[[ArmRow, Timing, Notes], str],
    *,
    shown: bool = True,
) -> Column[ArmRow]:
    """A column of a session; a dash with its reason for an arm that has no time in it."""

    def text(row: ArmRow, notes: Notes) -> str:
        t = session.timings.get(row.arm)
        if t is None:
            return cells.untimed(row, notes, session.refused.get(row.arm))
        return cell(row, t, notes)

    return Column(head, text, shown=shown)


def stages(summary: Summary, session: SessionRow) -> Table:
    """Return the median time of every stage."""
    timings = [t for row in summary.rows if (t := session.timings.get(row.arm))]
    names = tuple(dict.fromkeys(name for t in timings for name in t.stages_ms))
    return tabulate(
        f"Stages, median ms: {session.label}",
        (
            Column("arm", lambda row, _notes: row.arm, words=True),
            *(_stage(session, n) for n in names),
        ),
        summary.rows if names else (),
        baseline=summary.baseline_place,
        notes=(_how(session),),
    )


def _stage(session: SessionRow, name: str) -> Column[ArmRow]:
    return _timed(session, name, lambda _row, t, _notes: milliseconds(t.stages_ms.get(name)))


def _how(session: SessionRow) -> str:
    if session.timer == "CUDA events" and session.version > 1:
        return (
            "Measured with CUDA events, without synchronisation. Checked against synchronised "
            "rounds; differences are noted under the times. Stages need not sum to the total."
        )
    return (
        "Timed in rounds of their own with a synchronisation after each stage: they need not sum "
        "to the total."
    )
