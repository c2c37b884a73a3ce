"""Every difference to the baseline with all that is known about it."""

from dataclasses import replace

from reports.summary.aggregate import Summary
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.table import Column, Table, number, tabulate, text
from yolact_bench.results.compared_arms import LEVEL
from yolact_bench.results.contrasts import HEADLINE, Contrast
from yolact_bench.results.metrics import RESAMPLED, title
from yolact_bench.text import decimal, signed_decimal, signed_interval

_VERDICTS = {"*": "real", "n.s.": "n.s.", "1 seed": "1 seed: not judged"}


def differences(summary: Summary) -> Table:
    """Return metric × arm, the metrics of the main table first."""
    ordered = sorted(RESAMPLED, key=lambda name: name not in HEADLINE)
    arms = [row.arm for row in summary.rows]
    contrasts = [c for name in ordered for arm in arms if (c := summary.contrasts.of(arm, name))]
    notes = (*_notes(summary), *legends.missing(summary)) if contrasts else ()
    named = f"Differences to {summary.manifest.baseline}"
    return tabulate(named, _COLUMNS, contrasts, notes=notes)


def _unsure(column: Column[Contrast]) -> Column[Contrast]:
    """Make the cells faint whose difference may be chance."""
    return replace(column, faint=lambda c: not c.is_real)


_COLUMNS: tuple[Column[Contrast], ...] = (
    text("metric", lambda c: title(c.metric)),
    text("arm", lambda c: c.arm),
    _unsure(number("Δ", lambda c: signed_decimal(c.value))),
    _unsure(number("95 % interval", lambda c: signed_interval(c.low, c.high))),
    number("image s.e.", lambda c: f"{c.image_se:.2f}"),
    number("seed s.e.", lambda c: decimal(c.seed_se)),
    number("p", lambda c: cells.probability(c.p)),
    number("p (Holm)", lambda c: cells.probability(c.p_holm)),
    number("detectable", lambda c: decimal(c.mde if c.testable else None)),
    number("seeds", lambda c: str(c.pairs)),
    _unsure(text("verdict", lambda c: _VERDICTS[c.verdict])),
)


def _notes(summary: Summary) -> tuple[str, ...]:
    head, rest = (summary.contrasts.tests(headline=is_head) for is_head in (True, False))
    return (
        "In percentage points. image s.e.: standard error from the choice of images alone; seed "
        "s.e.: from the spread between seeds alone. Interval and verdict take both.",
        f"p (Holm): corrected over the {head} tests of mask and box AP; the {rest} of the other "
        f"metrics are a family of their own. real: p (Holm) < {LEVEL:g}.",
        "detectable: the smallest true difference that would be found real, at that correction, "
        "with 80 % probability. seeds: those that both arms have.",
    )
