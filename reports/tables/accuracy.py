"""Columns of accuracies: a metric over the seeds, and its difference to the baseline."""

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.origins import sources
from reports.tables.table import Column, Fields, Notes
from yolact_bench.results.contrasts import HEADLINE, Contrast
from yolact_bench.text import signed_decimal


def verdict(c: Contrast) -> str:
    """Return the verdict on a difference as CSV files have it."""
    if not c.testable:
        return "not judged"
    return "real" if c.is_real else "not shown"


def accuracy_column(summary: Summary, head: str, metric: str, *, drop: int = 0) -> Column[ArmRow]:
    """A metric over the seeds, with its spread; bold where the arm is significantly the best."""
    leader = summary.contrasts.leader(metric)

    def export(row: ArmRow) -> Fields:
        value = row.metrics[metric]
        spread = {f"{metric}_spread": value.spread if value else None}
        return {metric: value.mean if value else None, **(spread if metric in HEADLINE else {})}

    return Column(
        head,
        lambda row, notes: cells.value(row, row.metrics[metric], notes),
        leads=lambda row: row.arm == leader,
        tip=sources,
        drop=drop,
        export=export,
    )


def delta_column(summary: Summary, metric: str, *, drop: int = 0) -> Column[ArmRow]:
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

    def export(row: ArmRow) -> Fields:
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
        tip=sources,
        drop=drop,
        export=export,
    )
