"""A table of text, whatever it is printed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text. The first column names the row, the others are numbers or short words."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    baseline: int | None = None  # row to set apart from the others; not by bold
    words: frozenset[int] = frozenset({0})  # columns to align left
    notes: tuple[str, ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()  # row, column: really ahead of the others
    faint: frozenset[tuple[int, int]] = frozenset()  # row, column: nothing is shown by it
    # Where a page can do it: what a cell comes from, and the row of another table to see.
    tips: Mapping[tuple[int, int], str] = field(default_factory=dict)
    links: Mapping[int, str] = field(default_factory=dict)  # row → anchor that its tips lead to
    anchors: Mapping[int, str] = field(default_factory=dict)  # row → its own anchor
