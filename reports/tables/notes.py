"""The notes under a table: how to read its numbers."""

from collections.abc import Iterator, Sequence

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import SessionRow
from reports.tables.table import Notes
from yolact_bench.results.compared_arms import LEVEL
from yolact_bench.results.contrasts import HEADLINE, Contrast
from yolact_bench.side_effects import side_effect_lines
from yolact_bench.spec.budget_names import BUDGETS


def meaning(summary: Summary) -> Iterator[str]:
    """Yield how AP, Δ and its marks are to be read."""
    several = len(summary.manifest.seeds) > 1
    where = f" on {' and '.join(summary.datasets)}" if summary.datasets else ""
    spread = "; ± is the standard deviation over seeds" if several else ""
    yield (
        f"AP in percentage points (COCO, IoU 0.50:0.95){where}{spread}. "
        f"Δ: difference in points to {summary.manifest.baseline}.{_several_seeds(summary)}"
        f"{_without_intervals(summary)}"
    )
    if contrasts := list(summary.contrasts.by_key.values()):
        seeds = " and the seeds" if any(c.seed_se is not None for c in contrasts) else ""
        yield (
            f"[ ]: 95 % interval of Δ, for the choice of images{seeds}: "
            f"{summary.contrasts.replicates:,} resamples of the images, the same ones for both "
            "arms."
        )
    yield from _marks(summary, [c for c in contrasts if c.metric in HEADLINE])
    yield from missing(summary)


NO_INTERVAL = "without interval: the two arms have no resamples of the same images"
BOLD = (
    f"Bold: significantly better than every other arm that can be tested (p < {LEVEL:g} after "
    "Holm's correction over these differences); for times, the 95 % interval of the ratio to the "
    "second best excludes 1."
)


def _marks(summary: Summary, contrasts: Sequence[Contrast]) -> Iterator[str]:
    """Yield what the marks behind a Δ say, and how small a difference could have been seen."""
    if any(c.testable for c in contrasts):
        n = summary.contrasts.tests(headline=True)
        yield (
            f"* real: p < {LEVEL:g} after Holm's correction over {n} "
            f"{'tests' if n > 1 else 'test'} (mask and box AP of every other arm), where images "
            "and seeds both allow it. n.s.: not shown to be real, even where its interval alone "
            "excludes 0; which does not mean equal."
        )
        yield (
            "Smallest true difference that would be found with 80 % probability, in points: "
            f"{_range(contrasts, 'mask_ap')} of mask AP, {_range(contrasts, 'box_ap')} of box AP."
        )
    if any(not c.testable for c in contrasts):
        yield (
            "1 seed: different trainings of one seed each. The interval covers images only; what "
            "another seed would change is unknown, so no such Δ is called real."
        )


def missing(summary: Summary) -> Iterator[str]:
    """Yield why a Δ has no interval, and how to get one."""
    if (reasons := summary.contrasts.missing) and len(summary.rows) > 1:
        yield f"Without interval: {'; '.join(reasons)}. To add it: {summary.manifest.command}"


def side_effects(summary: Summary) -> list[str]:
    """Return in what each arm differs from the baseline beyond the changes that it writes."""
    plan = summary.manifest
    runs = {planned.arm: planned.run for planned in plan.runs}  # seeds apart they are equal
    return side_effect_lines(runs, plan.arm_changes, plan.baseline)


def arm(summary: Summary, row: ArmRow, notes: Notes) -> str:
    """Return the arm's name, marked if it stands in for a longer one or was measured elsewhere."""
    marks = [_proxy(summary)] if row.proxy else []
    marks += [_external(row)] if row.is_external else []
    return f"{row.arm} {notes.mark(*marks)}" if marks else row.arm


MACS = (
    "GMAC: billions of multiply-accumulates for one 480×640 image with 100 objects, deformable "
    "sampling, mask assembly, re-scoring and upsampling included; 2 FLOP each."
)


def times(session: SessionRow | None) -> Iterator[str]:
    """Yield how the times were taken, on what, and what they compare with."""
    if session is None or not session.timings:
        return
    n = sorted({timing.n for timing in session.timings.values()})
    calls = f"{n[0]}" if n[:1] == n[-1:] and n else " to ".join(map(str, (n[:1] + n[-1:])))
    env, kind = session.environment, session.kind
    threads = f", {env.threads} threads" if env.device_type == "cpu" else ""
    batch = "one" if kind.batch_size == 1 else str(kind.batch_size)
    yield (
        f"Times: {env.device}{threads}; {session.timer}; {kind.scenario}: "
        f"{session.meaning}; batch of {batch}; {calls} calls of each arm in alternating rounds "
        f"over {session.num_images} images in one session. × baseline: median ratio of paired "
        "rounds with a 95 % bootstrap interval of this session."
        + (" CPU times say nothing about a GPU." if env.device_type == "cpu" else "")
    )
    if kind.load:
        yield (
            f"† declared detection load {kind.load}: the network runs as it is and its "
            f"predictions are replaced by those of the load ({session.load_source})."
        )


def _external(row: ArmRow) -> str:
    """The origin of the predictions, as recorded."""
    origins_by_name = dict.fromkeys(a.origin for a in row.accuracies.values() if a.origin)
    origins = f" ({'; '.join(origins_by_name)})" if origins_by_name else ""
    return f"measured elsewhere: another program's predictions{origins}, scored here"


def _several_seeds(summary: Summary) -> str:
    """Which seeds a Δ is of."""
    if len(summary.manifest.seeds) < 2:
        return ""
    return " Of means over seeds; where both arms use the same trainings, over these alone."


def _without_intervals(summary: Summary) -> str:
    """The caution for a table without intervals."""
    if summary.contrasts.by_key or len(summary.rows) < 2:
        return ""
    if len(summary.manifest.seeds) > 1:
        return " Whether it exceeds chance is not tested here."
    return " One seed: the spread between trainings is unknown, so a small Δ may be chance."


def _range(contrasts: Sequence[Contrast], metric: str) -> str:
    sizes = sorted(c.mde for c in contrasts if c.metric == metric and c.testable)
    if not sizes:
        return "unknown"
    low, high = f"{sizes[0]:.2f}", f"{sizes[-1]:.2f}"
    return low if low == high else f"{low} to {high}"


def _proxy(summary: Summary) -> str:
    """The note on a shortened schedule, by budget."""
    if summary.proxy is None:
        return "proxy: a shortened schedule stands in for the paper's"
    text = (
        f"proxy: run with --budget {summary.proxy}, a shortened schedule that stands in for the "
        "one of the spec; its numbers are not results"
    )
    if BUDGETS[summary.proxy].rehearsal:
        text += (
            "; to run anywhere, fp16 is replaced by fp32, and a runtime that needs a GPU by one "
            "that does not"
        )
    return text
