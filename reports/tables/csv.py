"""Rows to CSV: arms, differences and runs, every number in full precision."""

import csv
import io
from collections.abc import Mapping, Sequence

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow
from reports.tables import main
from reports.tables.accuracy import verdict
from reports.tables.origins import command
from reports.tables.speed import time_fields
from yolact_bench.clock import STAGES
from yolact_bench.escape import csv_cell
from yolact_bench.results.contrasts import Contrast
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.metrics import points

_Line = Mapping[str, object]


def csv_files(summary: Summary) -> dict[str, str]:
    """Return file name → text. Empty cells where there is no number."""
    columns = main.columns(summary)
    return {
        "table.csv": csv_text(
            [{k: v for c in columns for k, v in c.fields(row).items()} for row in summary.rows]
        ),
        "differences.csv": csv_text(
            [_difference(summary, c) for c in summary.contrasts.by_key.values()]
        ),
        "latency.csv": csv_text(
            [_time(summary, row, session) for session in summary.sessions for row in summary.rows]
        ),
        "runs.csv": csv_text([_run(summary, row, run) for row in summary.rows for run in row.runs]),
    }


def csv_text(lines: Sequence[Mapping[str, object]], names: Sequence[str] = ()) -> str:
    """Return lines under the names of their fields; under `names` where there is no line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = [*lines[0]] if lines else names
    for cells in (fields, *([line[field] for field in fields] for line in lines)):
        writer.writerow(map(csv_cell, cells))
    return out.getvalue()


def _time(summary: Summary, row: ArmRow, session: SessionRow) -> _Line:
    """One arm in one scenario, batch size and load."""
    t = session.timings.get(row.arm)
    low, high = (t.interval_ms if t else None) or (None, None)
    times = time_fields(t, session)
    del times["latency_scenario"]
    return {
        "arm": row.arm,
        "scenario": session.kind.scenario,
        "protocol": session.kind.version,
        "batch": session.kind.batch_size,
        "load": session.kind.load,
        "precision": t.latency.precision if t else None,
        **times,
        "latency_median_low_ms": low,
        "latency_median_high_ms": high,
        "latency_iqr_ms": t.iqr_ms if t else None,
        "detections": t.latency.protocol.detections if t else None,
        "peak_memory_mb": t.latency.peak_memory_mb if t else None,
        **{f"{stage}_ms": t.stages_ms.get(stage) if t else None for stage in STAGES},
        "budget": summary.manifest.budget,
        "notes": "; ".join(t.warnings) if t else session.refused.get(row.arm, ""),
    }


def _difference(summary: Summary, c: Contrast) -> _Line:
    return {
        **c.row(summary.manifest.baseline),
        "verdict": verdict(c),
        "resamples": summary.contrasts.replicates,
        "budget": summary.manifest.budget,
    }


def _run(summary: Summary, row: ArmRow, run: PlannedRun) -> _Line:
    """One seed: where its accuracy is from, and how to measure it again."""
    a = row.accuracies.get(run.seed)
    e = a.environment if a else None
    return {
        "arm": row.arm,
        "seed": run.seed,
        "mask_ap": points(a, "mask_ap") if a else None,
        "box_ap": points(a, "box_ap") if a else None,
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
