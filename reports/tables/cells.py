"""Numbers as table cells: how they are rounded, and which footnote says why one is missing."""

from collections.abc import Iterable, Mapping

from reports.summary.arm_rows import ArmRow, Value
from reports.summary.timings import Timing, unfolded_text
from reports.tables.table import Notes
from yolact_bench.results.contrasts import Contrast
from yolact_bench.text import NOT_AVAILABLE, difference_text, with_interval

MISSING = "—"  # a number that should be there and is not: always with a note
WIDE = 1.0  # points: an interval is wide from here on
UNDEFINED = "n/a"


def value(row: ArmRow, value: Value | None, notes: Notes) -> str:
    """Return AP in points with one decimal, and its spread over seeds."""
    if value is None:
        return point(row, None, notes)
    spread = "" if value.spread is None else f" ± {value.spread:.1f}"
    few = len(row.accuracies) < len(row.runs)
    return f"{value.mean:.1f}{spread}" + (f" {notes.mark(*row.missing)}" if few else "")


def point(row: ArmRow, points: float | None, notes: Notes) -> str:
    """Return AP in points with one decimal."""
    if points is None:
        return UNDEFINED if row.accuracies else absent(row, notes)
    return f"{points:.1f}"


def delta(contrast: Contrast, digits: int = 2) -> str:
    """Return a difference in points, its interval and its mark."""
    text = difference_text(contrast.value, contrast.low, contrast.high, digits)
    return f"{text} {contrast.verdict}"


def delta_digits(contrasts: Iterable[Contrast]) -> int:
    """Return with how many decimals a column of differences is printed.

    One where every interval is so wide that a second would be noise; two otherwise.
    """
    widths = [contrast.high - contrast.low for contrast in contrasts]
    return 1 if widths and min(widths) > WIDE else 2


def probability(p: float | None) -> str:
    """Return a p-value with three decimals; a short dash where nothing could be tested."""
    if p is None:
        return NOT_AVAILABLE
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def millions(row: ArmRow, notes: Notes) -> str:
    """Return the number of parameters in millions."""
    if row.is_external:
        return NOT_AVAILABLE  # not published
    return absent(row, notes) if row.parameters is None else f"{row.parameters / 1e6:.2f}"


def giga_macs(row: ArmRow, notes: Notes) -> str:
    """Return the MACs of one image in billions; a short dash where nothing counted them."""
    if row.macs is not None:
        return f"{row.macs / 1e9:.2f}"
    return absent(row, notes) if row.parameters is None and not row.is_external else NOT_AVAILABLE


def absent(row: ArmRow, notes: Notes) -> str:
    """Return a dash with the reason: what failed, or that it was not run."""
    return f"{MISSING} {notes.mark(*row.missing)}".strip()


def untimed_text(row: ArmRow, notes: Notes, refused: str | None) -> str:
    """Return a dash with the reason why there is no time."""
    if row.missing:
        return absent(row, notes)
    return f"{MISSING} {notes.mark(refused or 'not timed yet')}"


def whole(number: float | None) -> str:
    """Return megabytes or millijoules, where the device reports them."""
    return UNDEFINED if number is None else f"{number:.0f}"


def ratio(row: ArmRow, timing: Timing, notes: Notes) -> str:
    """Return the time relative to the baseline, with its interval."""
    if row.is_baseline:
        return ""
    if timing.ratio is None:
        return f"{MISSING} {notes.mark('not timed on the same rounds and images as the baseline')}"
    return with_interval(timing.ratio, timing.ratio_interval, 3)


def note_unfolded(text: str, row: ArmRow, timing: Timing, notes: Notes) -> str:
    """Return a time, marked where batch norms of the arm could not be folded."""
    norms = timing.latency.unfolded_norms
    return f"{text} {notes.mark(unfolded_text(row.arm, norms))}" if norms else text


def choices(changes: Mapping[str, object]) -> str:
    """Return slot paths and their values, as one would write them in a spec."""
    parts = []
    for path, choice in changes.items():
        if isinstance(choice, Mapping):
            options = ", ".join(f"{k} = {v}" for k, v in choice.items() if k != "name")
            named = str(choice.get("name", ""))
            parts.append(f"{path}: {named}" + (f" ({options})" if options else ""))
        else:
            parts.append(f"{path}: {choice}")
    return "; ".join(parts)
