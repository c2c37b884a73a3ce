"""Published numbers beside the measured ones, and why some of them do not compare."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.paper import PaperGroup, PaperRow, Quantity
from reports.tables import cells
from reports.tables.table import Notes, Table
from yolact_bench.results.metrics import IOUS
from yolact_bench.results.text import signed

_SPEEDS = ("fps", "ms", "delta_ms")


def published(summary: Summary) -> Table | None:
    """Return the published rows that the ablation asks for."""
    group = summary.paper
    if group is None:
        return None
    rows = []
    for row in group.rows:
        values = [_number(row.values.get(name), unit) for name, unit in group.units.items()]
        mark = "" if row.checked else " †"
        rows.append((row.name + mark, *values, row.split, row.gpu or "", _source(row)))
    recalled = any(not row.checked for row in group.rows)
    width = len(group.units)
    return Table(
        title=f"Published: {group.title}",
        columns=("", *(unit.label for unit in group.units.values()), "split", "speed on", "source"),
        rows=tuple(rows),
        words=frozenset({0, width + 1, width + 2, width + 3}),
        notes=(RECALLED,) if recalled else (),
    )


RECALLED = "† quoted from memory, not verified in the source: not a pass mark."


@dataclass(frozen=True, slots=True)
class _Measured:
    """Our number for one published one."""

    text: str
    points: float | None  # None: not to be compared
    where: str


def against_paper(summary: Summary) -> Table | None:
    """Return published, measured and difference for every arm that names its published row."""
    group, named = summary.paper, summary.manifest.paper_rows or {}
    if group is None or not named:
        return None
    by_name = {row.name: row for row in group.rows}
    notes = Notes()
    lines = [
        line
        for row in summary.rows
        if (paper := by_name.get(named.get(row.arm, ""))) is not None
        for line in _lines(summary, row, paper, group, notes)
    ]
    recalled = any(not by_name[name].checked for name in named.values() if name in by_name)
    return Table(
        title="Published and measured",
        columns=(
            "arm",
            "published as",
            "quantity",
            "published",
            "on",
            "measured",
            "on",
            "difference",
        ),
        rows=tuple(lines),
        words=frozenset({0, 1, 2, 4, 6}),
        notes=notes.lines(
            "difference: measured − published, in points of AP; only for the same data set. "
            "Times and images per second get neither difference nor ratio: other hardware, other "
            "software.",
            RECALLED if recalled else "",
        ),
    )


def _lines(
    summary: Summary, row: ArmRow, paper: PaperRow, group: PaperGroup, notes: Notes
) -> Iterator[tuple[str, ...]]:
    mark = "" if paper.checked else " †"
    for name, unit in group.units.items():
        if name not in paper.values:
            continue
        ours = _measured(summary, row, name, unit)
        where = f"{paper.gpu or 'hardware not stated'}" if name in _SPEEDS else paper.split
        yield (
            row.arm,
            paper.name + mark,
            unit.label,
            _number(paper.values[name], unit),
            where,
            ours.text,
            ours.where,
            _difference(summary, row, paper, name, ours, notes),
        )


def _difference(
    summary: Summary, row: ArmRow, paper: PaperRow, name: str, ours: _Measured, notes: Notes
) -> str:
    if ours.points is None:
        return f"{cells.MISSING} {notes.mark('not measured')}"
    reason = _incomparable(summary, row, paper, name)
    if reason:
        return f"{cells.MISSING} {notes.mark(reason)}"
    other_split = "another split of the same data set"
    ours_split, theirs = _words(ours.where), _words(paper.split)
    mark = "" if theirs <= ours_split else f" {notes.mark(other_split)}"
    return signed(ours.points - paper.values[name], 2) + mark


def _incomparable(summary: Summary, row: ArmRow, paper: PaperRow, name: str) -> str | None:
    """Why the two numbers must not be subtracted; None if they may."""
    if row.proxy:
        return "a shortened schedule is not what was published"
    if name in _SPEEDS:
        device = summary.session.device if summary.session else "unknown hardware"
        return f"published on {paper.gpu or 'unknown hardware'}, measured on {device}"
    data = {a.dataset.split()[0].lower() for a in row.accuracies.values()}
    if data != {paper.split.split()[0].lower()}:
        return f"published on {paper.split}, measured on other images"
    return None


def _measured(summary: Summary, row: ArmRow, name: str, unit: Quantity) -> _Measured:
    if name in _SPEEDS:
        return _time(summary, row, name, unit)
    points = _POINTS[name](summary, row) if name in _POINTS else _mean(row, name)
    on = dict.fromkeys(f"{a.dataset}, {a.num_images} images" for a in row.accuracies.values())
    where = " and ".join(on) or cells.MISSING
    if points is None:
        return _Measured(cells.MISSING, None, where)
    text = _number(points, unit)
    contrast = summary.contrasts.of(row.arm, "mask_ap") if name == "delta_ap" else None
    if contrast is not None:
        text = cells.delta(None, contrast)
    return _Measured(text, points, where)


def _time(summary: Summary, row: ArmRow, name: str, unit: Quantity) -> _Measured:
    if row.timing is None or summary.session is None:
        return _Measured(cells.MISSING, None, cells.MISSING)
    s = summary.session
    threads = f", {s.threads} threads" if s.device_type == "cpu" else ""
    where = f"{s.device}{threads}, {s.label}"
    number = {"ms": row.timing.median_ms, "fps": row.timing.fps}.get(name)
    if name == "delta_ms":
        base = s.timings.get(summary.manifest.baseline)
        number = None if base is None else row.timing.median_ms - base.median_ms
    if number is None:
        return _Measured(cells.MISSING, None, where)
    return _Measured(_number(number, unit), number, where)


def _mean(row: ArmRow, name: str) -> float | None:
    value = row.metrics.get(name)
    return None if value is None else value.mean


def _delta(summary: Summary, row: ArmRow) -> float | None:
    contrast, value = summary.contrasts.of(row.arm, "mask_ap"), row.metrics["mask_ap"]
    if contrast is not None:
        return contrast.value
    return None if value is None else value.delta


_POINTS: Mapping[str, Callable[[Summary, ArmRow], float | None]] = {
    "delta_ap": _delta,
    "mask_ap70": lambda summary, row: row.mask_by_iou[IOUS.index(0.70)],
}


def _number(number: float | None, unit: Quantity) -> str:
    if number is None:
        return ""
    return signed(number, unit.digits) if unit.signed else f"{number:.{unit.digits}f}"


def _source(row: PaperRow) -> str:
    return f"{row.source} ({row.where})" if row.where else row.source


def _words(text: str) -> set[str]:
    """The words of a split, by which val2017 and test-dev differ and the order does not."""
    return set(text.lower().replace(",", " ").replace("val2017", "val").split())
