"""Published numbers beside the measured ones, and why some of them do not compare."""

from dataclasses import dataclass, replace

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.paper import PaperRow, Quantity
from reports.tables import cells
from reports.tables.table import Column, Notes, Table, number, tabulate, text
from yolact_bench.statistics.matches import IOU_THRESHOLDS
from yolact_bench.text import signed_decimal

_SPEEDS = ("fps", "ms", "delta_ms")
RECALLED = "† quoted from memory, not verified in the source: not a pass mark."


def published_rows(summary: Summary) -> Table | None:
    """Return the published rows that the ablation asks for."""
    group = summary.paper
    if group is None:
        return None

    def value(name: str, unit: Quantity) -> Column[PaperRow]:
        return number(unit.label, lambda row: _number(row.values.get(name), unit))

    table = tabulate(
        f"Published: {group.title}",
        (
            text("", _name),
            *(value(name, unit) for name, unit in group.units.items()),
            text("split", lambda row: row.split),
            text("speed on", lambda row: row.gpu or ""),
            text("source", lambda row: f"{row.source} ({row.where})" if row.where else row.source),
        ),
        group.rows,
        notes=() if all(row.checked for row in group.rows) else (RECALLED,),
    )
    return replace(table, is_published=True)


@dataclass(frozen=True, slots=True)
class _Measurement:
    """Our number for one published one."""

    text: str
    points: float | None  # None: not to be compared
    where: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """One published number of an arm, and ours."""

    row: ArmRow
    paper: PaperRow
    name: str
    unit: Quantity
    ours: _Measurement


def against_paper(summary: Summary) -> Table | None:
    """Return published, measured and difference for every arm that names its published row."""
    group, named = summary.paper, summary.manifest.paper_rows or {}
    if group is None or not named:
        return None
    by_name = {row.name: row for row in group.rows}
    recalled = any(not by_name[name].checked for name in named.values() if name in by_name)
    return tabulate(
        "Published and measured",
        (
            text("arm", lambda pair: pair.row.arm),
            text("published as", lambda pair: _name(pair.paper)),
            text("quantity", lambda pair: pair.unit.label),
            number("published", lambda pair: _number(pair.paper.values[pair.name], pair.unit)),
            text("on", _published_on),
            number("measured", lambda pair: pair.ours.text),
            text("on", lambda pair: pair.ours.where),
            Column("difference", lambda pair, notes: _difference(summary, pair, notes)),
        ),
        [
            _Pair(row, paper, name, unit, _measurement(summary, row, name, unit))
            for row in summary.rows
            if (paper := by_name.get(named.get(row.arm, ""))) is not None
            for name, unit in group.units.items()
            if name in paper.values
        ],
        notes=(
            "difference: measured − published, in points of AP; only for the same data set. "
            "Times and images per second get neither difference nor ratio: other hardware, other "
            "software.",
            RECALLED if recalled else "",
        ),
    )


def _name(row: PaperRow) -> str:
    return row.name if row.checked else f"{row.name} †"


def _published_on(pair: _Pair) -> str:
    return pair.paper.gpu or "hardware not stated" if pair.name in _SPEEDS else pair.paper.split


def _difference(summary: Summary, pair: _Pair, notes: Notes) -> str:
    if pair.ours.points is None:
        return f"{cells.MISSING} {notes.mark('not measured')}"
    if reason := _incomparable(summary, pair.row, pair.paper, pair.name):
        return f"{cells.MISSING} {notes.mark(reason)}"
    is_same = _words(pair.paper.split) <= _words(pair.ours.where)
    mark = "" if is_same else f" {notes.mark('another split of the same data set')}"
    return signed_decimal(pair.ours.points - pair.paper.values[pair.name], 2) + mark


def _incomparable(summary: Summary, row: ArmRow, paper: PaperRow, name: str) -> str | None:
    """Why the two numbers must not be subtracted; None if they may."""
    if row.proxy:
        return "a shortened schedule is not what was published"
    if name in _SPEEDS:
        device = summary.session.environment.device if summary.session else "unknown hardware"
        return f"published on {paper.gpu or 'unknown hardware'}, measured on {device}"
    data = {a.dataset.split()[0].lower() for a in row.accuracies.values()}
    if data != {paper.split.split()[0].lower()}:
        return f"published on {paper.split}, measured on other images"
    return None


def _measurement(summary: Summary, row: ArmRow, name: str, unit: Quantity) -> _Measurement:
    if name in _SPEEDS:
        return _time(summary, row, name, unit)
    contrast = summary.contrasts.of(row.arm, "mask_ap") if name == "delta_ap" else None
    points = _points(summary, row, name)
    on = dict.fromkeys(f"{a.dataset}, {a.num_images} images" for a in row.accuracies.values())
    where = " and ".join(on) or cells.MISSING
    if points is None:
        return _Measurement(cells.MISSING, None, where)
    text = _number(points, unit) if contrast is None else cells.delta(contrast)
    return _Measurement(text, points, where)


def _time(summary: Summary, row: ArmRow, name: str, unit: Quantity) -> _Measurement:
    timing, s = row.timing, summary.session
    if timing is None or s is None:
        return _Measurement(cells.MISSING, None, cells.MISSING)
    env = s.environment
    threads = f", {env.threads} threads" if env.device_type == "cpu" else ""
    where = f"{env.device}{threads}, {s.label}"
    base = s.timings.get(summary.manifest.baseline)
    delta = timing.median_ms - base.median_ms if base else None
    number = {"ms": timing.median_ms, "fps": timing.fps, "delta_ms": delta}[name]
    if number is None:
        return _Measurement(cells.MISSING, None, where)
    return _Measurement(_number(number, unit), number, where)


def _points(summary: Summary, row: ArmRow, name: str) -> float | None:
    if name == "delta_ap":
        return summary.contrasts.delta(row.arm, "mask_ap")
    if name == "mask_ap70":
        return row.mask_by_iou[IOU_THRESHOLDS.index(0.70)]
    value = row.metrics.get(name)
    return None if value is None else value.mean


def _number(number: float | None, unit: Quantity) -> str:
    if number is None:
        return ""
    return signed_decimal(number, unit.digits) if unit.signed else f"{number:.{unit.digits}f}"


def _words(text: str) -> set[str]:
    """The words of a split, by which val2017 and test-dev differ and the order does not."""
    return set(text.lower().replace(",", " ").replace("val2017", "val").split())
