"""What each arm changes, its accuracy in detail, and its training."""

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables import cells
from reports.tables.cells import UNDEFINED
from reports.tables.table import ARM, Column, Table, arm_table, number, tabulate, text
from yolact_bench.evaluation import evaluation_text
from yolact_bench.statistics.matches import IOU_THRESHOLDS
from yolact_bench.text import duration

_SIZES = {"": "AP", "_small": "S", "_medium": "M", "_large": "L"}
_RECALLS = {"mask_ar_1": "mask AR1", "mask_ar_10": "AR10", "mask_ar_100": "AR100"}


def changes(summary: Summary) -> Table:
    """Return what each arm changes."""
    described: Column[ArmRow] = text(
        f"changes to {summary.manifest.base}", lambda row: cells.choices(row.changes) or "nothing"
    )
    return arm_table("What each arm changes", (ARM, described), summary.rows)


def sizes(summary: Summary) -> Table:
    """Return AP by object size, and average recall."""
    heads = {
        f"{kind}_ap{size}": f"{kind} {word}"
        for kind in ("mask", "box")
        for size, word in _SIZES.items()
    }
    others = {
        evaluation_text({"areas": one.evaluation["areas"]}).removeprefix("areas ")
        for row in summary.rows
        for one in row.accuracies.values()
        if "areas" in one.evaluation
    }
    usual = "S: objects under 32² px, M: under 96² px, L: larger."
    ranges = f"S, M, L: {'; or '.join(sorted(others))}." if others else usual
    return arm_table(
        "By object size, and recall",
        (ARM, *(_metric(name, head) for name, head in (heads | _RECALLS).items())),
        summary.rows,
        notes=(
            f"{ranges} ARn: average recall with n detections an image. {UNDEFINED}: no ground "
            "truth of that size.",
        ),
    )


def ious(summary: Summary) -> Table:
    """Return mask AP at every IoU threshold."""

    def at(place: int) -> Column[ArmRow]:
        return Column(
            f"{IOU_THRESHOLDS[place]:.2f}",
            lambda row, notes: cells.point(row, row.mask_by_iou[place], notes),
        )

    columns = (ARM, *map(at, range(len(IOU_THRESHOLDS))))
    return arm_table("Mask AP by IoU threshold", columns, summary.rows)


def classes(summary: Summary) -> Table:
    """Return mask AP of every class; one column per arm."""
    names = dict.fromkeys(name for row in summary.rows for name in row.mask_by_class)

    def of_arm(row: ArmRow) -> Column[str]:
        return Column(
            row.arm, lambda name, notes: cells.point(row, row.mask_by_class.get(name), notes)
        )

    name: Column[str] = text("class", str)
    columns = (name, *map(of_arm, summary.rows))
    return tabulate("Mask AP by class", columns, tuple(names))


def trainings(summary: Summary) -> Table:
    """Return the trainings, with the arms that share each."""
    return tabulate(
        "Trainings",
        (
            text("arms", lambda t: t.label),
            number("iterations", lambda t: f"{t.accuracy.iterations:,}"),
            number("time", lambda t: duration(t.accuracy.train_seconds, days=False)),
            number("images/s", lambda t: f"{t.accuracy.train_images_per_second:.1f}"),
            number("peak MB", lambda t: cells.whole(t.accuracy.peak_memory_mb)),
            number("skipped", lambda t: str(t.accuracy.skipped_annotations)),
            text("digest", lambda t: t.accuracy.train_digest),
        ),
        summary.trainings,
        notes=(
            "Arms in one row share one checkpoint: they differ only after training.",
            "skipped: degenerate annotations left out of training.",
        ),
    )


def _metric(name: str, head: str) -> Column[ArmRow]:
    return Column(head, lambda row, notes: cells.value(row, row.metrics[name], notes))
