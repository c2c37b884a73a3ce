"""How commands and reports write numbers, and the one writer of text tables."""

from collections.abc import Collection, Sequence

Number = int | float

HOUR = 3600.0
NOT_AVAILABLE = "–"  # not known, too few samples, or nothing to say
_UNITS = (("days", 48 * HOUR, 24 * HOUR), ("h", 2 * HOUR, HOUR), ("min", 120.0, 60.0))


def unit_title(arm: str, seed: int) -> str:
    """Return the name of an arm with one seed in progress bars and log lines."""
    return f"{arm} seed {seed}" if seed else arm


def ms_unit(device_type: str) -> str:
    """Return milliseconds; those of a CPU are marked as such."""
    return "ms (CPU)" if device_type == "cpu" else "ms"


def decimal(number: Number | None, digits: int = 2) -> str:
    """Return a number with a fixed number of decimals; a dash for None."""
    return NOT_AVAILABLE if number is None else f"{number:.{digits}f}"


def ap_points(ap: Number | None, digits: int = 1) -> str:
    """Return an AP or AR, a fraction, in points; a dash where it is undefined."""
    return decimal(None if ap is None else 100 * ap, digits)


def metric_value(name: str, value: Number | None) -> str:
    """Return an objective or another metric by its name: AP and AR in points, others plain."""
    if value is None:
        return NOT_AVAILABLE
    return ap_points(value, 2) if name.startswith(("mask_a", "box_a")) else f"{value:.4g}"


def signed_decimal(number: Number, digits: int = 2) -> str:
    """Return the number with + or a true minus sign; no sign on a zero."""
    text = f"{number:+.{digits}f}".replace("-", "−")
    return text[1:] if float(f"{number:.{digits}f}") == 0 else text


def signed_interval(low: Number, high: Number, digits: int = 2) -> str:
    """Return the interval of a difference: "[−2.3, −0.3]"."""
    return f"[{signed_decimal(low, digits)}, {signed_decimal(high, digits)}]"


def difference_text(value: Number, low: Number, high: Number, digits: int = 2) -> str:
    """Return a difference and its interval: "−1.3 [−2.3, −0.3]"."""
    return f"{signed_decimal(value, digits)} {signed_interval(low, high, digits)}"


def with_interval(value: Number, interval: tuple[Number, Number] | None, digits: int = 2) -> str:
    """Return a number and its interval, if it has one: "31.20 [31.10, 31.32]"."""
    if interval is None:
        return decimal(value, digits)
    low, high = (decimal(end, digits) for end in interval)
    return f"{decimal(value, digits)} [{low}, {high}]"


def duration(seconds: Number, *, days: bool = True) -> str:
    """Return a duration in the unit that reads best: "42 s", "3.3 min", "5.2 h", "2.1 days"."""
    for unit, least, length in _UNITS:
        if seconds >= least and (days or unit != "days"):
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


def time_span(seconds: Number) -> str:
    """Return a duration to the second, or to the minute from an hour on: "3 min 20 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def device_hours(seconds: Number | None) -> str:
    """Return device-seconds as hours, three significant digits below 100; "?" if unknown."""
    if seconds is None:
        return "?"
    hours = seconds / HOUR
    return f"{hours:,.0f}" if hours >= 100 else f"{round(hours, 4):.3g}"


def size(num_bytes: Number) -> str:
    """Return a number of bytes in decimal units: "2.5 MB", "1.2 GB"."""
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: "1 arm", "3 arms"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def align(
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[int] | None = None,
    indent: int = 2,
    pipes: bool = False,
) -> list[str]:
    """Return the rows as lines of even columns, between Markdown's pipes if wanted.

    Columns in `left` are words and begin at the left; the others are numbers and end at the
    right. Without `left` all are words.
    """
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = range(len(widths)) if left is None else left
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        if pipes:
            lines.append(f"| {' | '.join(cells)} |")
        else:
            lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines
