"""The main table: accuracy, size and speed of every arm beside the baseline."""

from dataclasses import replace

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.accuracy import accuracy_column, delta_column
from reports.tables.cells import choices
from reports.tables.origins import anchor, sources
from reports.tables.speed import speed_columns
from reports.tables.table import Column, Fields, Table, arm_table, csv_only
from yolact_bench.statistics.matches import IOU_THRESHOLDS

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
        accuracy_column(summary, "mask AP", "mask_ap"),
        delta_column(summary, "mask_ap"),
        accuracy_column(summary, "AP50", "mask_ap50", drop=6),
        accuracy_column(summary, "AP75", "mask_ap75", drop=7),
        csv_only(lambda row: _means(row, "mask", without=_FIRST)),
        accuracy_column(summary, "box AP", "box_ap", drop=3),
        delta_column(summary, "box_ap", drop=5),
        csv_only(lambda row: _means(row, "box", without=("ap",))),
        csv_only(_by_iou),
        Column(
            "params, M",
            cells.millions,
            drop=9,
            tip=sources,
            export=lambda row: {"parameters": row.parameters},
        ),
        Column(
            "GMAC",
            cells.giga_macs,
            shown=_counts_macs(summary),
            drop=8,
            tip=sources,
            export=lambda row: {"macs": row.macs},
        ),
        *speed_columns(summary),
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
        *legends.side_effects(summary),
    )
    return replace(
        table,
        notes=(*table.notes, *filter(None, general)),
        links={place: anchor(place) for place, row in enumerate(summary.rows) if row.accuracies},
    )


def _identity(summary: Summary, row: ArmRow) -> Fields:
    return {
        "arm": row.arm,
        "baseline": row.is_baseline,
        "external": row.is_external,
        "changes": choices(row.changes),
        "seeds": len(row.accuracies),
        "proxy": row.proxy,
        "budget": summary.manifest.budget,
    }


def _means(row: ArmRow, kind: str, *, without: tuple[str, ...]) -> Fields:
    """The metrics of masks or boxes that have no column of their own."""
    columns = {f"{kind}_{name}" for name in without}
    return {
        name: value.mean if value else None
        for name, value in row.metrics.items()
        if name.startswith(kind) and name not in columns
    }


def _by_iou(row: ArmRow) -> Fields:
    pairs = zip(IOU_THRESHOLDS, row.mask_by_iou, strict=True)
    return {f"mask_ap_iou_{iou:.2f}": ap for iou, ap in pairs}


def _missing(row: ArmRow) -> Fields:
    refused = [row.timing_refused] if row.timing_refused and not row.missing else []
    return {"missing": "; ".join([*row.missing, *refused])}


def _counts_macs(summary: Summary) -> bool:
    """Whether MACs are known: the first records have none."""
    return any(row.macs is not None for row in summary.rows)
