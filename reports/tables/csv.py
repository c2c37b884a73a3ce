"""Rows to CSV: arms, differences and runs, every number in full precision."""

import csv
import io
from collections.abc import Mapping, Sequence

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow
from reports.tables import main
from reports.tables.main import time_fields, verdict
from reports.tables.origins import command
from reports.tables.table import Column
from yolact_bench.clock import STAGES
from yolact_bench.results.contrasts import Contrast

_Line = Mapping[str, object]


def csv_files(summary: Summary) -> dict[str, str]:
    """Return file name → text. Empty cells where there is no number."""
    columns = main.columns(summary)
    return {
        "table.csv": _csv([_arm(columns, row) for row in summary.rows]),
        "differences.csv": _csv(
            [_difference(summary, c) for c in summary.contrasts.by_key.values()]
        ),
        "latency.csv": _csv(
            [_time(summary, row, session) for session in summary.sessions for row in summary.rows]
        ),
        "runs.csv": _csv([line for row in summary.rows for line in _runs(summary, row)]),
    }


def _csv(lines: Sequence[_Line]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _arm(columns: Sequence[Column[ArmRow]], row: ArmRow) -> _Line:
    return {name: value for column in columns for name, value in column.fields(row).items()}


def _time(summary: Summary, row: ArmRow, session: SessionRow) -> _Line:
    """One arm in one scenario, batch size and load."""
    t = session.timings.get(row.arm)
    low, high = (t.interval_ms if t else None) or (None, None)
    line: dict[str, object] = {
        "arm": row.arm,
        "scenario": session.scenario,
        "protocol": session.version,
        "batch": session.batch_size,
        "load": session.load,
        "precision": t.precision if t else None,
        **time_fields(t, session),
        "latency_median_low_ms": low,
        "latency_median_high_ms": high,
        "latency_iqr_ms": t.iqr_ms if t else None,
        "detections": t.detections if t else None,
        "peak_memory_mb": t.peak_memory_mb if t else None,
    }
    del line["latency_scenario"]
    line |= {f"{stage}_ms": t.stages_ms.get(stage) if t else None for stage in STAGES}
    line["budget"] = summary.manifest.budget
    line["notes"] = "; ".join(t.warnings) if t else session.refused.get(row.arm, "")
    return line


def _difference(summary: Summary, c: Contrast) -> _Line:
    return {
        **c.row(summary.manifest.baseline),
        "verdict": verdict(c),
        "resamples": summary.contrasts.replicates,
        "budget": summary.manifest.budget,
    }


def _runs(summary: Summary, row: ArmRow) -> list[_Line]:
    """One line a seed: where its accuracy is from, and how to measure it again."""
    lines: list[_Line] = []
    for run in row.runs:
        a = row.accuracies.get(run.seed)
        e = a.environment if a else None
        lines.append(
            {
                "arm": row.arm,
                "seed": run.seed,
                "mask_ap": 100 * a.mask.ap if a and a.mask.ap is not None else None,
                "box_ap": 100 * a.box.ap if a and a.box.ap is not None else None,
                "train_digest": run.train_digest,
                "forward_digest": run.forward_digest,
                "detect_digest": run.detect_digest,
                "data": f"{a.dataset} ({a.eval_data})" if a else None,
                "predictions": a.predictions if a else None,
                "commit": e.commit if e else None,
                "uncommitted_changes": e.dirty if e else None,
                "device": e.device if e else None,
                "driver": e.driver if e else None,
                "threads": e.threads if e else None,
                "measured": a.time if a else None,
                "budget": summary.manifest.budget,
                "command": command(summary, row.arm),
            }
        )
    return lines
