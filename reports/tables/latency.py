"""Times as tables: one for each session, so one scenario, batch size and load."""

from collections.abc import Callable

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow, Timing
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.table import ARM, Column, Notes, Table, arm_table, text
from yolact_bench.statistics.timing import MIN_SAMPLES_P90, MIN_SAMPLES_P99
from yolact_bench.text import decimal, with_interval

TimeCell = Callable[[ArmRow, Timing, Notes], str]

_STATISTICS = (
    f"IQR: between the quartiles, ms. p90 needs {MIN_SAMPLES_P90} samples, p99 "
    f"{MIN_SAMPLES_P99}; – where there are fewer. n: timed calls, all of them kept. "
    "fps: images a second, from the median."
)


def latency(summary: Summary, session: SessionRow) -> Table:
    """Return the times of a session: median, spread, quantiles, ratio to the baseline."""
    timings = session.timings

    def arm(row: ArmRow, notes: Notes) -> str:
        t = timings.get(row.arm)
        return f"{row.arm} {notes.mark(*t.warnings)}".strip() if t else row.arm

    def median(row: ArmRow, t: Timing, notes: Notes) -> str:
        return cells.note_unfolded(with_interval(t.median_ms, t.interval_ms), row, t, notes)

    def plain(head: str, cell: Callable[[Timing], str]) -> Column[ArmRow]:
        return time_column(session, head, lambda _row, t, _notes: cell(t))

    columns = [
        Column("arm", arm, words=True),
        text("scenario", lambda _row: session.label),
        time_column(session, f"median {session.unit} [95 %]", median),
        plain("IQR", lambda t: decimal(t.iqr_ms)),
        plain("p90", lambda t: decimal(t.p90_ms)),
        plain("p99", lambda t: decimal(t.p99_ms)),
        plain("n", lambda t: str(t.n)),
        plain("fps", lambda t: decimal(t.fps, 1)),
        time_column(session, "× baseline [95 %]", cells.ratio),
        plain("precision", lambda t: t.latency.precision),
        plain("peak MB", lambda t: cells.whole(t.latency.peak_memory_mb)),
    ]
    if any(t.latency.protocol.detections is not None for t in timings.values()):
        columns.append(plain("detections", lambda t: decimal(t.latency.protocol.detections, 1)))
    if any(t.latency.energy_mj is not None for t in timings.values()):
        columns.append(plain("mJ an image", lambda t: cells.whole(t.latency.energy_mj)))
    notes = (*legends.times(session), _STATISTICS)
    return arm_table(f"Latency: {session.label}", columns, summary.rows, notes=notes)


def time_column(session: SessionRow | None, head: str, cell: TimeCell) -> Column[ArmRow]:
    """Return a column of a session; a dash with its reason for an arm that has no time in it."""
    timings, refused = (session.timings, session.refused) if session else ({}, {})

    def words(row: ArmRow, notes: Notes) -> str:
        t = timings.get(row.arm)
        if t is None:
            return cells.untimed_text(row, notes, refused.get(row.arm))
        return cell(row, t, notes)

    return Column(head, words)


def stages(summary: Summary, session: SessionRow) -> Table:
    """Return the median time of every stage."""
    timings = [t for row in summary.rows if (t := session.timings.get(row.arm))]
    names = dict.fromkeys(name for t in timings for name in t.stages_ms)

    def stage(name: str) -> Column[ArmRow]:
        return time_column(session, name, lambda _row, t, _notes: decimal(t.stages_ms.get(name)))

    return arm_table(
        f"Stages, median ms: {session.label}",
        (ARM, *map(stage, names)),
        summary.rows if names else (),
        notes=(_how(session),),
    )


def _how(session: SessionRow) -> str:
    if session.timer == "CUDA events" and session.kind.version > 1:
        return (
            "Measured with CUDA events, without synchronisation. Checked against synchronised "
            "rounds; differences are noted under the times. Stages need not sum to the total."
        )
    return (
        "Timed in rounds of their own with a synchronisation after each stage: they need not sum "
        "to the total."
    )
