"""A curve of latency as text, table files and a figure."""

import json
from dataclasses import asdict
from pathlib import Path

from reports.figures.latency_curve import draw_curve
from reports.pages.markdown import escape
from reports.tables.cells import MISSING
from reports.tables.csv import csv_text
from yolact_bench.results.curve import CurvePoint, LatencyCurve
from yolact_bench.results.files import write_atomically
from yolact_bench.text import NOT_AVAILABLE, with_interval
from yolact_bench.work_names import REPORTS

WORDS = {"detections": "detections an image", "image_size": "image size, px"}


def write_curve(work_dir: Path, curve: LatencyCurve) -> Path:
    """Write table, numbers and figure; return their folder. Another curve of it is replaced."""
    folder = work_dir / REPORTS / f"latency-{curve.varied}-{curve.scenario}"
    files: dict[str, str | bytes] = {
        "curve.md": as_text(curve) + "\n",
        "curve.csv": _csv(curve),
        "curve.json": as_json(curve),
        **{f"curve.{kind}": data for kind, data in draw_curve(curve, WORDS[curve.varied]).items()},
    }
    for name, content in files.items():
        write_atomically(folder / name, content)
    return folder


def as_json(curve: LatencyCurve) -> str:
    """Return everything, every sample included."""
    return json.dumps(asdict(curve))


def as_text(curve: LatencyCurve) -> str:
    """Return a Markdown table: a row for every value, a column for every arm."""
    head = [WORDS[curve.varied], *(f"{escape(arm)}, {curve.unit}" for arm in curve.arms)]
    rows = [
        [str(value), *(_cell(curve.at(arm, value)) for arm in curve.arms)] for value in curve.values
    ]
    threads = f", {curve.threads} threads" if curve.device_type == "cpu" else ""
    about = (
        f"Median and 95 % interval; {curve.scenario}, batch of {curve.batch_size}, {curve.timer}, "
        f"{curve.device}{threads}. All arms and values in alternating rounds of one session."
    )
    lines = ["| " + " | ".join(line) + " |" for line in [head, ["---:"] * len(head), *rows]]
    notes = map(escape, (about, *curve.notes, *filter(None, [curve.invalid])))
    return "\n".join([*lines, "", *notes])


def _cell(point: CurvePoint | None) -> str:
    if point is None:
        return MISSING
    if not point.interval_ms:
        return f"{point.median_ms:.2f} {NOT_AVAILABLE}"
    low, high = point.interval_ms
    return with_interval(point.median_ms, (low, high))


def _csv(curve: LatencyCurve) -> str:
    stages = dict.fromkeys(stage for point in curve.points for stage in point.stages_ms)
    lines = []
    for point in curve.points:
        low, high = point.interval_ms or (None, None)
        line = {
            "arm": point.arm,
            curve.varied: point.value,
            "median_ms": point.median_ms,
            "low_ms": low,
            "high_ms": high,
            "found": point.detections,
            "n": len(point.samples_ms),
        }
        lines.append(line | {f"{stage}_ms": point.stages_ms.get(stage) for stage in stages})
    return csv_text(lines)
