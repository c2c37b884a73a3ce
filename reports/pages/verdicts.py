"""A sentence on every arm beside the baseline, for a terminal."""

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.summary.timings import Timing
from reports.tables import cells
from yolact_bench.results.contrasts import HEADLINE, Contrast
from yolact_bench.text import (
    decimal,
    difference_text,
    signed_decimal,
    signed_interval,
    with_interval,
)


def arm_verdicts(summary: Summary) -> tuple[str, ...]:
    """Return a sentence on every arm but the baseline, by the rules of the table's marks."""
    headline = [c for c in summary.contrasts.by_key.values() if c.metric in HEADLINE]
    digits = cells.delta_digits(headline)
    return tuple(_verdict(summary, row, digits) for row in summary.rows if not row.is_baseline)


def _verdict(summary: Summary, row: ArmRow, digits: int) -> str:
    contrast = summary.contrasts.of(row.arm, "mask_ap")
    delta = summary.contrasts.delta(row.arm, "mask_ap")
    parts = []
    if contrast is not None:
        parts.append(_accuracy(contrast, digits))
    elif delta is not None:
        parts.append(f"{signed_decimal(delta, digits)} mask AP, not tested")
    if row.timing is not None and row.timing.ratio is not None:
        parts.append(_speed(row.timing, row.timing.ratio))
    elif row.timing_refused and not row.missing:
        parts.append(f"no time: {row.timing_refused}")
    parts += row.missing
    if row.is_external:
        parts.append("predictions of another program")
    return f"{row.arm}: {'; '.join(parts) or 'no difference can be computed'}"


def _accuracy(contrast: Contrast, digits: int) -> str:
    if contrast.is_real:
        direction = "better" if contrast.value > 0 else "worse"
        interval = signed_interval(contrast.low, contrast.high, digits)
        return f"{direction} by {decimal(abs(contrast.value), digits)} mask AP {interval}"
    numbers = difference_text(contrast.value, contrast.low, contrast.high, digits)
    return f"no real difference shown ({numbers}{'' if contrast.testable else ', one seed'})"


def _speed(timing: Timing, ratio: float) -> str:
    """Say how much faster or slower, if the interval of the ratio excludes 1."""
    interval = timing.ratio_interval
    if interval is None:
        return f"{ratio:.2f}× the time, not tested"
    if interval[0] <= 1 <= interval[1]:
        return f"no difference in time shown ({with_interval(ratio, interval, 3)}×)"
    if ratio > 1:
        return _times(ratio, interval, "slower")
    return _times(1 / ratio, (1 / interval[1], 1 / interval[0]), "faster")


def _times(factor: float, interval: tuple[float, float], direction: str) -> str:
    # Two decimals would print a small but real difference as 1.00.
    digits = 2 if factor >= 1.1 else 3
    low, high = (decimal(end, digits) for end in interval)
    return f"{decimal(factor, digits)}× {direction} [{low}, {high}]"
