"""The result of an ablation for a terminal: a table as wide as it fits, and a verdict per arm."""

import io
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reports.pages.sections import proxy_mark
from reports.summary.aggregate import Summary
from reports.tables.main import comparison
from reports.tables.table import Table
from yolact_bench.escape import printable
from yolact_bench.text import count

if TYPE_CHECKING:
    from rich.text import Text
from reports.pages.verdicts import arm_verdicts

MIN_WIDTH = 60
PLAIN_WIDTH = 100  # of a pipe or a file
_GAP = 2
_NAME = 12  # characters that remain of a long name
_MARKS = re.compile(r"\s*[⁰¹²³⁴⁵⁶⁷⁸⁹†]+(?=\s|$)")


def render(
    summary: Summary, *, width: int = PLAIN_WIDTH, notes: bool = False, colour: bool = False
) -> str:
    """Return the main table, fitted to `width`, and a verdict on every arm.

    Columns that do not fit are dropped in the order that the table declares, and named. With
    `notes`, the warnings and the notes of the report follow. A pipe gets the same without colour,
    `PLAIN_WIDTH` characters wide.
    """
    width = max(width, MIN_WIDTH)
    table = comparison(summary)
    title = f"{summary.manifest.name}{proxy_mark(summary)}: {summary.manifest.question}"
    parts = [wrap(title, width), render_table(table, width=width, notes=notes, colour=colour)]
    verdicts = [wrap(text, width, indent=2) for text in arm_verdicts(summary)]
    if verdicts:
        against = f"Against {printable(summary.manifest.baseline)}, in mask AP and time:"
        parts.append("\n".join([against, *verdicts]))
    if notes:
        parts.append("\n".join(wrap(f"Note: {text}", width) for text in summary.warnings))
    elif summary.warnings:
        parts.append(f"{count(len(summary.warnings), 'note')} on these numbers: -v shows all.")
    return "\n\n".join(part for part in parts if part)


def render_table(
    table: Table, *, width: int = PLAIN_WIDTH, notes: bool = False, colour: bool = False
) -> str:
    """Return a table fitted to `width`; without its notes their marks go, too."""
    table = _map_cells(table, printable)
    if not notes:
        table = _map_cells(table, lambda cell: _MARKS.sub("", cell))
    fitted, dropped = fit(table, width)
    lines = [_grid(fitted, width, colour=colour)]
    if dropped:
        lines.append(wrap(f"Not shown at this width: {', '.join(dropped)}.", width))
    if notes:
        lines.append("\n".join(wrap(note, width, indent=2) for note in table.notes))
    return "\n".join(line for line in lines if line)


def fit(table: Table, width: int) -> tuple[Table, tuple[str, ...]]:
    """Return the table with the columns that fit, and the heads of the others.

    Columns that are never dropped come first, then each other one that still fits, the lowest
    `drop` first.
    """
    drops = table.drops or (0,) * len(table.columns)
    keep = [place for place, drop in enumerate(drops) if not drop]
    for place in sorted(range(len(drops)), key=lambda place: drops[place]):
        wider = sorted({*keep, place})
        if _total(table.select(wider)) <= width:
            keep = wider
    dropped = tuple(_full_head(table, i) for i in range(len(drops)) if i not in keep)
    return _shorten(table.select(keep), width), dropped


def wrap(text: str, width: int, *, indent: int = 0) -> str:
    """Return the text in lines of at most `width`, never broken inside an interval."""
    whole = re.sub(r"\[[^]]*\]", lambda match: match[0].replace(" ", "\0"), printable(text))
    lines = textwrap.wrap(
        whole,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * 2 * indent,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ")


def _map_cells(table: Table, of: Callable[[str], str]) -> Table:
    rows = tuple(tuple(map(of, row)) for row in table.rows)
    return replace(table, rows=rows, columns=tuple(map(of, table.columns)))


def _head(head: str) -> list[str]:
    """The lines of a head: its interval and what follows a comma stand below."""
    return [line for line in re.split(r", (?!M$)| (?=\[)", head) if line]


def _full_head(table: Table, place: int) -> str:
    """The head in one line; what occurs twice is named after the column before it."""
    head = " ".join(_head(table.columns[place]))
    is_twice = table.columns.count(table.columns[place]) > 1
    return f"{table.columns[place - 1]} {head}" if is_twice else head


def _widths(table: Table) -> list[int]:
    return [
        max(len(text) for text in [*_head(head), *(row[place] for row in table.rows)])
        for place, head in enumerate(table.columns)
    ]


def _total(table: Table) -> int:
    widths = _widths(table)
    return sum(widths) + _GAP * (len(widths) - 1)


def _shorten(table: Table, width: int) -> Table:
    """Shorten the names of rows, at most to `_NAME` characters, as far as necessary."""
    room = max(_NAME, _widths(table)[0] - max(0, _total(table) - width))
    rows = tuple(
        (row[0] if len(row[0]) <= room else row[0][: room - 1] + "…", *row[1:])
        for row in table.rows
    )
    return replace(table, rows=rows)


def _grid(table: Table, width: int, *, colour: bool) -> str:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for place, head in enumerate(table.columns):
        is_word = place in table.words
        # Words other than the row's name may take several lines, numbers never.
        grid.add_column(
            "\n".join(_head(head)),
            justify="left" if is_word else "right",
            no_wrap=not is_word or place == 0,
        )
    for place, row in enumerate(table.rows):
        grid.add_row(*_style(table, place, row))
    out = io.StringIO()
    Console(
        file=out, width=width, force_terminal=colour, color_system="standard" if colour else None
    ).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _style(table: Table, place: int, row: Sequence[str]) -> list["Text"]:
    from rich.text import Text

    texts = []
    for column, cell in enumerate(row):
        style = "bold green" if (place, column) in table.bold else ""
        style = "dim" if (place, column) in table.faint else style
        if place == table.baseline and column == 0:
            style = "italic cyan"
        texts.append(Text(cell, style=style))
    return texts
