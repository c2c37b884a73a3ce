"""Rows to CSV: one line per arm, every number in full precision."""

import csv
import io
from collections.abc import Sequence

from reports.aggregate import IOUS, ArmRow, Summary
from reports.cells import choices
from reports.timing import Session, Timing


def csv_text(summary: Summary) -> str:
    """Return one line per arm with every number in full precision; empty where there is none."""
    lines = [_csv_line(summary, row) for row in summary.rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _csv_line(summary: Summary, row: ArmRow) -> dict[str, object]:
    line: dict[str, object] = {
        "arm": row.arm,
        "baseline": row.is_baseline,
        "changes": choices(row.changes),
        "seeds": row.seeds_done,
        "proxy": row.proxy,
    }
    for name, measured in row.metrics.items():
        line[name] = measured.mean if measured else None
        if name in ("mask_ap", "box_ap"):
            line[f"{name}_spread"] = measured.spread if measured else None
            line[f"{name}_delta"] = measured.delta if measured else None
    line |= {f"mask_ap_iou_{iou:.2f}": p for iou, p in zip(IOUS, row.mask_by_iou, strict=True)}
    line["parameters"] = row.parameters
    line |= _csv_times(row.timing, summary.session)
    line["missing"] = "; ".join(_reasons(row))
    return line


def _csv_times(t: Timing | None, session: Session | None) -> dict[str, object]:
    low, high = (t.ratio_interval if t else None) or (None, None)
    return {
        "latency_median_ms": t.median_ms if t else None,
        "latency_p90_ms": t.p90_ms if t else None,
        "latency_p99_ms": t.p99_ms if t else None,
        "latency_n": t.n if t else None,
        "fps": t.fps if t else None,
        "latency_ratio": t.ratio if t else None,
        "latency_ratio_low": low,
        "latency_ratio_high": high,
        "device": session.device if t and session else None,
        "session": session.name if t and session else None,
    }


def _reasons(row: ArmRow) -> Sequence[str]:
    refused = [row.timing_refused] if row.timing_refused and not row.missing else []
    return [*row.missing, *refused]
