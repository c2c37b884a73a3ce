"""Rows to CSV: arms, differences and runs, every number in full precision."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.contrasts import HEADLINE, Contrast
from reports.summary.metrics import IOUS
from reports.summary.timings import Session, Timing
from reports.tables.cells import choices
from reports.tables.origins import command
from yolact_bench.clock import STAGES

_Line = Mapping[str, object]


def csv_files(summary: Summary) -> dict[str, str]:
    """Return file name → text. Empty cells where there is no number."""
    return {
        "table.csv": _csv([_arm(summary, row) for row in summary.rows]),
        "differences.csv": _csv(
            [_difference(summary, c) for c in summary.contrasts.found.values()]
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


def _arm(summary: Summary, row: ArmRow) -> _Line:
    line: dict[str, object] = {
        "arm": row.arm,
        "baseline": row.is_baseline,
        "external": row.is_external,
        "changes": choices(row.changes),
        "seeds": row.seeds_done,
        "proxy": row.proxy,
        "budget": summary.manifest.budget,
    }
    for name, measured in row.metrics.items():
        line[name] = measured.mean if measured else None
        if name in HEADLINE:
            line[f"{name}_spread"] = measured.spread if measured else None
            line |= _delta(name, measured.delta if measured else None, summary, row.arm)
    line |= {f"mask_ap_iou_{iou:.2f}": p for iou, p in zip(IOUS, row.mask_by_iou, strict=True)}
    line["parameters"] = row.parameters
    line["macs"] = row.macs
    line |= _times(row.timing, summary.session)
    line["missing"] = "; ".join(_reasons(row))
    return line


def _delta(name: str, delta: float | None, summary: Summary, arm: str) -> _Line:
    c = summary.contrasts.of(arm, name)
    return {
        f"{name}_delta": c.value if c else delta,
        f"{name}_delta_low": c.low if c else None,
        f"{name}_delta_high": c.high if c else None,
        f"{name}_p_holm": c.p_holm if c else None,
        f"{name}_verdict": _verdict(c) if c else None,
    }


def _times(t: Timing | None, session: Session | None) -> _Line:
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
        "energy_mj": t.energy_mj if t else None,
        "latency_scenario": session.label if t and session else None,
        "device": session.device if t and session else None,
        "session": session.name if t and session else None,
    }


def _time(summary: Summary, row: ArmRow, session: Session) -> _Line:
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
        **_times(t, session),
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
        "arm": c.arm,
        "metric": c.metric,
        "baseline": summary.manifest.baseline,
        "delta": c.value,
        "low": c.low,
        "high": c.high,
        "image_se": c.image_se,
        "seed_se": c.seed_se,
        "p": c.p,
        "p_holm": c.p_holm,
        "detectable": c.mde if math.isfinite(c.mde) else None,
        "seeds": c.pairs,
        "verdict": _verdict(c),
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


def _verdict(c: Contrast) -> str:
    if not c.judged:
        return "not judged"
    return "real" if c.is_real else "not shown"


def _reasons(row: ArmRow) -> Sequence[str]:
    refused = [row.timing_refused] if row.timing_refused and not row.missing else []
    return [*row.missing, *refused]
