"""Causes of lost AP by arm, and the AP with one part replaced by the truth."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from statistics import fmean, stdev

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables.table import ARM, Column, Table, arm_table, number
from yolact_bench.results.record import Errors
from yolact_bench.text import NOT_AVAILABLE

AS_IS = "ap50"
NONE = "none"
# Names of the records → words of the table; another name stands for itself.
TYPES: Mapping[str, str] = {
    "classification": "class",
    "localisation": "location",
    "both": "both",
    "duplicate": "duplicate",
    "background": "background",
    "missed": "missed",
    "false_positive": "all false positives",
    "false_negative": "all false negatives",
}
ORACLES: Mapping[str, str] = {
    NONE: "as it is",
    "crop_gt_box": "cropped with true boxes",
    "rescore_gt": "scored by true mask IoU",
    "class_gt": "true classes",
    "project_gt": "true masks in the prototypes",
}
Part = Callable[[Errors], Mapping[str, float | None]]


def errors_of(row: ArmRow, summary: Summary) -> tuple[Errors, ...]:
    """Return the analyses of the arm's seeds."""
    return tuple(
        summary.errors[run.detect_digest] for run in row.runs if run.detect_digest in summary.errors
    )


def error_types(summary: Summary, part: Part) -> tuple[str, ...]:
    """Return the names that occur in the records, in our order, then unknown ones in theirs."""
    analyses = dict.fromkeys(name for e in summary.errors.values() for name in part(e))
    known = [name for name in (*TYPES, *ORACLES) if name in analyses]
    return (*known, *(name for name in analyses if name not in known and name != AS_IS))


def points_of(analyses: Iterable[Errors], part: Part, name: str) -> list[float]:
    """Return the points of each seed for which they are defined."""
    return [100 * ap for e in analyses if (ap := part(e).get(name)) is not None]


def error_table(summary: Summary, kind: str) -> Table:
    """Return AP50 and what fixing one type of error would add to it; `kind` is mask or box."""
    part: Part = attrgetter(kind)
    heads = {AS_IS: "AP50", **{name: TYPES.get(name, name) for name in error_types(summary, part)}}
    return arm_table(
        f"Causes of lost {kind} AP50",
        (ARM, *(_column(summary, part, name, head) for name, head in heads.items())),
        arms_with_errors(summary),
        notes=(
            "Points of AP50 gained if the errors of one type alone were fixed; they need not add "
            "up, as fixing one hides or uncovers others. class: right place, wrong class; "
            "location: right class, IoU 0.1 to 0.5; both: both; duplicate: the object has a "
            "better detection; background: no object there; missed: an object without any of "
            "these. After TIDE (arXiv:2008.08115).",
        ),
    )


def oracle_table(summary: Summary) -> Table:
    """Return mask AP of every arm with one part perfect at a time."""
    part: Part = attrgetter("oracles")
    names = error_types(summary, part)
    return arm_table(
        "What mask AP could reach",
        (ARM, *(_column(summary, part, name, ORACLES.get(name, name)) for name in names)),
        arms_with_errors(summary) if names else (),
        notes=(
            "Mask AP in points with one part replaced by the truth, all else unchanged. true masks "
            "in the prototypes: true boxes and classes, and the masks that least squares fits to "
            "the true ones, a lower bound of what the predicted prototypes can express.",
        ),
    )


def arms_with_errors(summary: Summary) -> tuple[ArmRow, ...]:
    """Return the arms of which a seed has an analysis."""
    return tuple(row for row in summary.rows if errors_of(row, summary))


def _column(summary: Summary, part: Part, name: str, head: str) -> Column[ArmRow]:
    """The mean over seeds with its spread."""

    def cell(row: ArmRow) -> str:
        values = points_of(errors_of(row, summary), part, name)
        if not values:
            return NOT_AVAILABLE
        spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
        return f"{fmean(values):.1f}{spread}"

    return number(head, cell)
