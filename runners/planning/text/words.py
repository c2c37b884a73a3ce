"""Times, counts and columns as a plan words them."""

from collections.abc import Sequence

HOUR = 3600.0
DAY = 24 * HOUR


def aligned(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Return rows as lines of even columns; all but the first to the right where `numbers`."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join(_cells(row, widths, numbers)).rstrip() for row in rows]


def counted(number: int, word: str, plural: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def spoken_time(seconds: float) -> str:
    """Return a time with the unit in which it is a handy number."""
    for unit, length in (("days", 48 * HOUR), ("h", 1.5 * HOUR), ("min", 90.0)):
        if seconds >= length:
            per = {"days": DAY, "h": HOUR, "min": 60.0}[unit]
            return f"{seconds / per:,.1f} {unit}"
    return f"{seconds:.0f} s"


def device_hours(seconds: float | None) -> str:
    """Return device-seconds as hours, with the precision at which a sum of them is read."""
    if seconds is None:
        return "?"
    hours = seconds / HOUR
    return f"{hours:,.0f}" if hours >= 100 else f"{round(hours, 4):.3g}"


def _cells(row: Sequence[str], widths: Sequence[int], numbers: bool) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [cell.rjust(w) if numbers and column else cell.ljust(w) for column, (cell, w) in pairs]
