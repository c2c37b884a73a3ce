"""Tables of text, and the columns that they are made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Generic, TypeVar

from reports.summary.arm_rows import ArmRow

R = TypeVar("R")
Fields = Mapping[str, object]  # of a CSV file

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Notes:
    """Numbered footnotes of one table; equal texts share a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, *texts: str) -> str:
        """Return the superscript numbers of the notes."""
        numbers = [self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts]
        return " ".join(str(number).translate(_SUPERSCRIPTS) for number in numbers)

    def lines(self, *general: str) -> tuple[str, ...]:
        """Return all notes, numbered ones first."""
        numbered = [f"{str(n).translate(_SUPERSCRIPTS)} {t}" for t, n in self._numbers.items()]
        return (*numbered, *(text for text in general if text))


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column: what its cells contain, and how the formats emphasise or drop them."""

    head: str
    cell: Callable[[R, Notes], str]
    _: KW_ONLY
    words: bool = False  # aligned left
    leads: Callable[[R], bool] | None = None  # bold
    faint: Callable[[R], bool] | None = None
    tip: Callable[[R], str] | None = None  # where the number is from, for pages that show it
    shown: bool = True  # False: only csv_only
    drop: int = 0  # a narrow terminal drops the highest number first; 0: never
    # CSV fields in full precision; None: the cell under the head.
    export: Callable[[R], Fields] | None = None

    def fields(self, row: R) -> Fields:
        """Return the CSV fields of a row."""
        return {self.head: self.cell(row, Notes())} if self.export is None else self.export(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text. The first column names the row, the others are numbers or short words."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    baseline: int | None = None  # row set apart from the others, not by bold
    words: frozenset[int] = frozenset({0})  # columns aligned left
    notes: tuple[str, ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()  # row, column: significantly the best
    faint: frozenset[tuple[int, int]] = frozenset()  # row, column: no difference shown
    drops: tuple[int, ...] = ()  # by column, as in Column; empty: no column is dropped
    is_published: bool = False  # numbers of others, which no budget of ours shortens
    # Shown on demand by a page: the origin of a cell, and the row of another table about it.
    tips: Mapping[tuple[int, int], str] = field(default_factory=dict)
    links: Mapping[int, str] = field(default_factory=dict)  # row → anchor that its tips lead to
    anchors: Mapping[int, str] = field(default_factory=dict)  # row → its own anchor

    def select(self, columns: Sequence[int]) -> "Table":
        """Return the table with these columns alone, without tips and links."""
        new = {old: place for place, old in enumerate(columns)}
        return replace(
            self,
            columns=tuple(self.columns[old] for old in columns),
            rows=tuple(tuple(row[old] for old in columns) for row in self.rows),
            words=frozenset(new[old] for old in self.words if old in new),
            bold=frozenset((row, new[old]) for row, old in self.bold if old in new),
            faint=frozenset((row, new[old]) for row, old in self.faint if old in new),
            drops=tuple(self.drops[old] for old in columns) if self.drops else (),
            tips={},
            links={},
        )


def csv_only(export: Callable[[R], Fields]) -> Column[R]:
    """Return a column that exists in CSV files only."""
    return Column("", lambda _row, _notes: "", shown=False, export=export)


def text(head: str, of: Callable[[R], str]) -> Column[R]:
    """Return a column of words that needs no notes."""
    return Column(head, lambda row, _notes: of(row), words=True)


def number(head: str, of: Callable[[R], str], *, drop: int = 0) -> Column[R]:
    """Return a column of numbers that needs no notes."""
    return Column(head, lambda row, _notes: of(row), drop=drop)


def tabulate(
    title: str,
    columns: Sequence[Column[R]],
    rows: Sequence[R],
    *,
    notes: Sequence[str] = (),
    baseline: int | None = None,
) -> Table:
    """Return the table of the columns that are shown; numbered notes precede the others."""
    footnotes = Notes()
    shown = [column for column in columns if column.shown]
    cells = tuple(tuple(column.cell(row, footnotes) for column in shown) for row in rows)
    places = [(p, c, row, column) for p, row in enumerate(rows) for c, column in enumerate(shown)]
    tips = {(p, c): column.tip(row) for p, c, row, column in places if column.tip}
    return Table(
        title=title,
        columns=tuple(column.head for column in shown),
        rows=cells,
        baseline=baseline,
        words=frozenset(place for place, column in enumerate(shown) if column.words),
        notes=footnotes.lines(*notes),
        bold=frozenset((p, c) for p, c, row, col in places if col.leads and col.leads(row)),
        faint=frozenset((p, c) for p, c, row, col in places if col.faint and col.faint(row)),
        drops=tuple(column.drop for column in shown),
        tips={place: text for place, text in tips.items() if text},
    )


ARM: Column[ArmRow] = text("arm", lambda row: row.arm)


def arm_table(
    title: str,
    columns: Sequence[Column[ArmRow]],
    rows: Sequence[ArmRow],
    *,
    notes: Sequence[str] = (),
) -> Table:
    """Return a table with a row for every arm, the baseline's set apart."""
    baseline = next((place for place, row in enumerate(rows) if row.is_baseline), None)
    return tabulate(title, columns, rows, notes=notes, baseline=baseline)
