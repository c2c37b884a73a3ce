"""Every difference to the baseline with all that is known about it."""

from reports.summary.aggregate import Summary
from reports.tables import cells
from reports.tables import notes as legends
from reports.tables.table import Table
from yolact_bench.results.contrasts import HEADLINE, LEVEL, Contrast
from yolact_bench.results.metrics import AP_METRICS, title
from yolact_bench.results.text import decimal, signed, signed_interval


def differences(summary: Summary) -> Table:
    """Return metric × arm, the metrics of the main table first."""
    ordered = sorted(AP_METRICS, key=lambda name: name not in HEADLINE)
    arms = [row.arm for row in summary.rows]
    contrasts = [c for name in ordered for arm in arms if (c := summary.contrasts.of(arm, name))]
    return Table(
        title=f"Differences to {summary.manifest.baseline}",
        columns=(
            "metric",
            "arm",
            "Δ",
            "95 % interval",
            "image s.e.",
            "seed s.e.",
            "p",
            "p (Holm)",
            "detectable",
            "seeds",
            "verdict",
        ),
        rows=tuple(_line(contrast) for contrast in contrasts),
        words=frozenset({0, 1, 10}),
        faint=frozenset(
            (place, column)
            for place, contrast in enumerate(contrasts)
            if not contrast.is_real
            for column in (2, 3, 10)
        ),
        notes=(*_notes(summary), *legends.missing(summary)) if contrasts else (),
    )


def _line(c: Contrast) -> tuple[str, ...]:
    return (
        title(c.metric),
        c.arm,
        signed(c.value),
        signed_interval(c.low, c.high),
        f"{c.image_se:.2f}",
        decimal(c.seed_se),
        cells.probability(c.p),
        cells.probability(c.p_holm),
        decimal(c.mde if c.testable else None),
        str(c.pairs),
        {"*": "real", "n.s.": "n.s.", "1 seed": "1 seed: not judged"}[c.verdict],
    )


def _notes(summary: Summary) -> tuple[str, ...]:
    head, rest = (summary.contrasts.tests(headline=is_head) for is_head in (True, False))
    return (
        "In percent points. image s.e.: standard error from the choice of images alone; seed "
        "s.e.: from the spread between seeds alone. Interval and verdict take both.",
        f"p (Holm): corrected over the {head} tests of mask and box AP; the {rest} of the other "
        f"metrics are a family of their own. real: p (Holm) < {LEVEL:g}.",
        "detectable: the smallest true difference that would be found real, at that correction, "
        "with 80 % probability. seeds: those that both arms have.",
    )
