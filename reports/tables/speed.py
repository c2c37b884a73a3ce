"""Columns of the session beside the accuracies: time, ratio to the baseline, rate; times as CSV."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow, Timing
from reports.tables import cells
from reports.tables.latency import TimeCell, time_column
from reports.tables.table import Column, Notes, csv_only

_TIMES: Mapping[str, Callable[[Timing, SessionRow], object]] = {
    "latency_median_ms": lambda t, _: t.median_ms,
    "latency_p90_ms": lambda t, _: t.p90_ms,
    "latency_p99_ms": lambda t, _: t.p99_ms,
    "latency_n": lambda t, _: t.n,
    "fps": lambda t, _: t.fps,
    "latency_ratio": lambda t, _: t.ratio,
    "latency_ratio_low": lambda t, _: t.ratio_interval and t.ratio_interval[0],
    "latency_ratio_high": lambda t, _: t.ratio_interval and t.ratio_interval[1],
    "energy_mj": lambda t, _: t.latency.energy_mj,
    "latency_scenario": lambda _, session: session.label,
    "device": lambda _, session: session.environment.device,
    "session": lambda _, session: session.name,
}


def time_fields(t: Timing | None, session: SessionRow | None) -> dict[str, object]:
    """Return the CSV fields about times."""
    return {name: of(t, session) if t and session else None for name, of in _TIMES.items()}


def speed_columns(summary: Summary) -> tuple[Column[ArmRow], ...]:
    """Median, ratio and rate in the session that stands beside the accuracies."""
    session = summary.session
    export: Column[ArmRow] = csv_only(lambda row: time_fields(row.timing, session))
    if "latency" not in summary.manifest.measure:
        return (export,)

    def column(head: str, cell: TimeCell, *, drop: int, may_lead: bool = True) -> Column[ArmRow]:
        return replace(
            time_column(session, head, cell),
            leads=lambda row: may_lead and session is not None and row.arm == session.fastest,
            tip=partial(_timing_origin, session),
            drop=drop,
            export=lambda _row: {},  # `export` has all of them
        )

    def median(row: ArmRow, t: Timing, notes: Notes) -> str:
        return cells.note_unfolded(f"{t.median_ms:.1f}", row, t, notes)

    head = f"{session.unit}, {session.label}" if session else "ms"
    return (
        export,
        column(head, median, drop=1),
        column("× baseline [95 %]", cells.ratio, drop=2, may_lead=False),
        column("fps", lambda _row, t, _notes: f"{t.fps:.1f}", drop=4),
    )


def _timing_origin(session: SessionRow | None, row: ArmRow) -> str:
    if session is None or row.timing is None:
        return ""
    at = f"session {session.name}, {session.label}, seed {session.seed}"
    return f"{at}, commit {session.environment.commit}, {session.environment.device}"
