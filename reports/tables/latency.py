"""Times as tables: one for each session, so one scenario, batch size and load."""

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import Session, Timing
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.table import Notes, Table
from yolact_bench.results.text import milliseconds, with_interval
from yolact_bench.statistics.timing import MIN_SAMPLES_P90, MIN_SAMPLES_P99


def latency(summary: Summary, session: Session) -> Table:
    """Return the times of a session: median, spread, quantiles, ratio to the baseline."""
    notes = Notes()
    timings = [t for row in summary.rows if (t := session.timings.get(row.arm))]
    counted = any(t.energy_mj is not None for t in timings)
    found = any(t.detections is not None for t in timings)
    columns = [
        "arm",
        "scenario",
        f"median {'ms (CPU)' if session.device_type == 'cpu' else 'ms'} [95 %]",
        *("IQR", "p90", "p99", "n", "fps", "× baseline [95 %]", "precision", "peak MB"),
        *(["detections"] if found else []),
        *(["mJ an image"] if counted else []),
    ]
    rows = []
    for row in summary.rows:
        t = session.timings.get(row.arm)
        if t is None:
            dash = cells.untimed(row, notes, session.refused.get(row.arm))
            rows.append((row.arm, session.label, *[dash] * (len(columns) - 2)))
            continue
        extra = [f"{t.detections:.1f}" if t.detections is not None else cells.FEW] if found else []
        extra += [cells.millijoules(t.energy_mj)] if counted else []
        rows.append((_name(row, t, notes), session.label, *_numbers(row, t, notes), *extra))
    return Table(
        title=f"Latency: {session.label}",
        columns=tuple(columns),
        rows=tuple(rows),
        baseline=summary.baseline_place,
        words=frozenset({0, 1}),
        notes=notes.lines(
            *legends.times(session),
            f"IQR: between the quartiles, ms. p90 needs {MIN_SAMPLES_P90} samples, p99 "
            f"{MIN_SAMPLES_P99}; – where there are fewer. n: timed calls, all of them kept. "
            "fps: images a second, from the median.",
        ),
    )


def _name(row: ArmRow, t: Timing, notes: Notes) -> str:
    return f"{row.arm} {notes.mark(*t.warnings)}".strip()


def _numbers(row: ArmRow, t: Timing, notes: Notes) -> tuple[str, ...]:
    return (
        with_interval(t.median_ms, t.interval_ms),
        f"{t.iqr_ms:.2f}",
        milliseconds(t.p90_ms),
        milliseconds(t.p99_ms),
        str(t.n),
        f"{t.fps:.1f}",
        cells.ratio(row, t, notes),
        t.precision,
        cells.megabytes(t.peak_memory_mb),
    )


def stages(summary: Summary, session: Session) -> Table:
    """Return the median time of every stage."""
    timings = [t for row in summary.rows if (t := session.timings.get(row.arm))]
    names = tuple(dict.fromkeys(name for t in timings for name in t.stages_ms))
    notes = Notes()
    rows = []
    for row in summary.rows:
        t = session.timings.get(row.arm)
        if t is None:
            numbers = [cells.untimed(row, notes, session.refused.get(row.arm))] * len(names)
        else:
            numbers = [milliseconds(t.stages_ms.get(name)) for name in names]
        rows.append((row.arm, *numbers))
    return Table(
        title=f"Stages, median ms: {session.label}",
        columns=("arm", *names),
        rows=tuple(rows) if names else (),
        baseline=summary.baseline_place,
        notes=notes.lines(_how(session)),
    )


def _how(session: Session) -> str:
    if session.timer == "CUDA events" and session.version > 1:
        return (
            "Timed in rounds of their own by events in the stream, while calls run on as they do "
            "as a whole; checked against rounds that wait at both ends of every stage, and what "
            "differs is noted under the times. Stages need not sum to the total."
        )
    return (
        "Timed in rounds of their own with a synchronisation after each stage: they need not sum "
        "to the total."
    )
