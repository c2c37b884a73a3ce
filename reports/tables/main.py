"""The main table: accuracy, size and speed of every arm beside the baseline."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow, Timing
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.cells import choices
from reports.tables.latency import TimeCell, time_column
from reports.tables.origins import anchor, origin
from reports.tables.table import Column, Notes, Table, arm_table, csv_only
from yolact_bench.results.contrasts import HEADLINE, Contrast
from yolact_bench.results.text import signed_decimal
from yolact_bench.statistics.matches import IOU_THRESHOLDS

_Fields = Mapping[str, object]
_FIRST = ("ap", "ap50", "ap75")  # the other metrics are in tables of their own, and in CSV


def columns(summary: Summary) -> tuple[Column[ArmRow], ...]:
    """Return the columns for Markdown, HTML, LaTeX, CSV and the terminal: add a new one here."""
    return (
        Column(
            "arm",
            lambda row, notes: legends.arm(summary, row, notes),
            words=True,
            export=lambda row: _identity(summary, row),
        ),
        _accuracy(summary, "mask AP", "mask_ap"),
        _delta(summary, "mask_ap"),
        _accuracy(summary, "AP50", "mask_ap50", drop=6),
        _accuracy(summary, "AP75", "mask_ap75", drop=7),
        csv_only(lambda row: _means(row, "mask", without=_FIRST)),
        _accuracy(summary, "box AP", "box_ap", drop=3),
        _delta(summary, "box_ap", drop=5),
        csv_only(lambda row: _means(row, "box", without=("ap",))),
        csv_only(_by_iou),
        Column(
            "params, M",
            cells.millions,
            drop=9,
            tip=_origins,
            export=lambda row: {"parameters": row.parameters},
        ),
        Column(
            "GMAC",
            cells.giga_macs,
            shown=_counts_macs(summary),
            drop=8,
            tip=_origins,
            export=lambda row: {"macs": row.macs},
        ),
        *_speed(summary),
        csv_only(_missing),
    )


def comparison(summary: Summary) -> Table:
    """Return the main table."""
    table = arm_table("Accuracy and speed", columns(summary), summary.rows)
    general = (
        *legends.meaning(summary),
        legends.BOLD if table.bold else "",
        legends.MACS if _counts_macs(summary) else "",
        *legends.times(summary.session),
    )
    return replace(
        table,
        notes=(*table.notes, *filter(None, general)),
        links={place: anchor(place) for place, row in enumerate(summary.rows) if row.accuracies},
    )


_TIMES: Mapping[str, Callable[[Timing, SessionRow], object]] = {
    "latency_median_ms": lambda t, _: t.median_ms,
    "latency_p90_ms": lambda t, _: t.p90_ms,
    "latency_p99_ms": lambda t, _: t.p99_ms,
    "latency_n": lambda t, _: t.n,
    "fps": lambda t, _: t.fps,
    "latency_ratio": lambda t, _: t.ratio,
    "latency_ratio_low": lambda t, _: t.ratio_interval and t.ratio_interval[0],
    "latency_ratio_high": lambda t, _: t.ratio_interval and t.ratio_interval[1],
    "energy_mj": lambda t, _: t.energy_mj,
    "latency_scenario": lambda _, session: session.label,
    "device": lambda _, session: session.device,
    "session": lambda _, session: session.name,
}


def time_fields(t: Timing | None, session: SessionRow | None) -> dict[str, object]:
    """Return the CSV fields about times."""
    return {name: of(t, session) if t and session else None for name, of in _TIMES.items()}


def verdict(c: Contrast) -> str:
    """Return the verdict on a difference as CSV files have it."""
    if not c.testable:
        return "not judged"
    return "real" if c.is_real else "not shown"


def _accuracy(summary: Summary, head: str, metric: str, *, drop: int = 0) -> Column[ArmRow]:
    """A metric over the seeds, with its spread; bold where the arm is significantly the best."""
    leader = summary.contrasts.leader(metric)

    def export(row: ArmRow) -> _Fields:
        value = row.metrics[metric]
        spread = {f"{metric}_spread": value.spread if value else None}
        return {metric: value.mean if value else None, **(spread if metric in HEADLINE else {})}

    return Column(
        head,
        lambda row, notes: cells.value(row, row.metrics[metric], notes),
        leads=lambda row: row.arm == leader,
        tip=_origins,
        drop=drop,
        export=export,
    )


def _delta(summary: Summary, metric: str, *, drop: int = 0) -> Column[ArmRow]:
    """The difference to the baseline with its interval; faint where it may be chance."""
    headline = [c for c in summary.contrasts.by_key.values() if c.metric in HEADLINE]
    digits = cells.delta_digits(headline)

    def cell(row: ArmRow, notes: Notes) -> str:
        c, value = contrast(row), summary.contrasts.delta(row.arm, metric)
        if c is not None:
            return cells.delta(c, digits)
        if value is None:
            return ""
        mark = notes.mark(legends.NO_INTERVAL) if headline else ""
        return f"{signed_decimal(value, digits)} {mark}".strip()

    def contrast(row: ArmRow) -> Contrast | None:
        return summary.contrasts.of(row.arm, metric)

    def is_unsure(row: ArmRow) -> bool:
        c = contrast(row)
        return c is not None and not c.is_real

    def export(row: ArmRow) -> _Fields:
        c = contrast(row)
        return {
            f"{metric}_delta": summary.contrasts.delta(row.arm, metric),
            f"{metric}_delta_low": c.low if c else None,
            f"{metric}_delta_high": c.high if c else None,
            f"{metric}_p_holm": c.p_holm if c else None,
            f"{metric}_verdict": verdict(c) if c else None,
        }

    return Column(
        "Δ [95 %]" if headline else "Δ",
        cell,
        faint=is_unsure,
        tip=_origins,
        drop=drop,
        export=export,
    )


def _speed(summary: Summary) -> tuple[Column[ArmRow], ...]:
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
    commit = session.environment.commit
    at = f"session {session.name}, {session.label}, seed {session.seed}"
    return f"{at}, commit {commit}, {session.device}"


def _identity(summary: Summary, row: ArmRow) -> _Fields:
    return {
        "arm": row.arm,
        "baseline": row.is_baseline,
        "external": row.is_external,
        "changes": choices(row.changes),
        "seeds": len(row.accuracies),
        "proxy": row.proxy,
        "budget": summary.manifest.budget,
    }


def _means(row: ArmRow, kind: str, *, without: tuple[str, ...]) -> _Fields:
    """The metrics of masks or boxes that have no column of their own."""
    columns = {f"{kind}_{name}" for name in without}
    return {
        name: value.mean if value else None
        for name, value in row.metrics.items()
        if name.startswith(kind) and name not in columns
    }


def _by_iou(row: ArmRow) -> _Fields:
    pairs = zip(IOU_THRESHOLDS, row.mask_by_iou, strict=True)
    return {f"mask_ap_iou_{iou:.2f}": ap for iou, ap in pairs}


def _missing(row: ArmRow) -> _Fields:
    refused = [row.timing_refused] if row.timing_refused and not row.missing else []
    return {"missing": "; ".join([*row.missing, *refused])}


def _origins(row: ArmRow) -> str:
    return "; ".join(origin(accuracy, seed) for seed, accuracy in row.accuracies.items())


def _counts_macs(summary: Summary) -> bool:
    """Whether MACs are known: the first records have none."""
    return any(row.macs is not None for row in summary.rows)
