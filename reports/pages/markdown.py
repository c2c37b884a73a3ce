"""The report as Markdown, for terminals, repositories and READMEs."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from reports.pages.sections import Section, provenance, proxy_mark, sections, verdicts
from reports.summary.aggregate import Summary
from reports.tables.table import Table
from yolact_bench.escape import one_line, printable
from yolact_bench.text import align

# Not _: inside words it is plain text to every reader, and names are full of it. Nor a star
# between blanks, which opens no emphasis: the mark of a real difference. Brackets are text, as
# those of intervals, unless an address follows; signs are, unless they make a line a heading, a
# list, a quotation, a rule or a fence.
_SPECIAL = re.compile(
    r"[|`<\\]|(?<!\s)\*|\*(?=\S)|\](?=[(\[])|(?<!\[ )\](?=:)|&(?=#?\w+;)"
    r"|^(?:#(?=#*(?:\s|$))|[>~]|[-+*](?=\s)|[-=](?=[-=]+$))|(?<=^\d)[.)](?=\s)"
)


def markdown_table(table: Table) -> str:
    """Return the table with its notes: the baseline's name slanted, significant leaders in bold."""
    rows = [[escape(cell) for cell in row] for row in (table.columns, *table.rows)]
    for place, column in table.bold:
        rows[place + 1][column] = f"**{rows[place + 1][column]}**"
    if table.baseline is not None:
        rows[table.baseline + 1][0] = f"*{rows[table.baseline + 1][0]}*"
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(table.columns))]
    rule = [
        "-" * width if i in table.words else "-" * (width - 1) + ":"
        for i, width in enumerate(widths)
    ]
    lines = align([rows[0], rule, *rows[1:]], left=table.words, pipes=True)
    notes = [f"{escape(note)}  " for note in table.notes]
    return "\n".join([*lines, *([""] if notes else []), *notes]).rstrip()


def markdown_report(summary: Summary, figures: Sequence[str]) -> str:
    """Return the whole page; `figures` are the stems of the pictures that were drawn."""
    manifest = summary.manifest
    parts = [
        f"# {escape(manifest.name)}{proxy_mark(summary)}",
        escape(manifest.question),
        code_block(manifest.command),
    ]
    if summary.warnings:
        parts.append("\n".join(f"> **Note:** {escape(text)}" for text in summary.warnings))
    if summary.outcomes:
        lines = [f"- {met} {code(text)} ({escape(why)})" for met, text, why in verdicts(summary)]
        parts.append("## Expected\n\n" + "\n".join(lines))
    for section in sections(summary, figures):
        parts += section_lines(section)
    facts = [f"- {name}: {escape(text)}" for name, text in provenance(summary)]
    parts.append("## Where the numbers come from\n\n" + "\n".join(facts))
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return the text as Markdown that shows it as it is."""
    return _SPECIAL.sub(r"\\\g<0>", one_line(text))


def escape_prose(text: str) -> str:
    """Return the same of a text whose own code, between single backticks, stays code."""
    with_code = re.compile(f"`[^`]+`|{_SPECIAL.pattern}")
    return with_code.sub(lambda m: m[0] if len(m[0]) > 1 else rf"\{m[0]}", one_line(text))


def code(text: str) -> str:
    """Return the text as code within a line, between more backticks than it has in a row."""
    line = one_line(text)
    marks, pad = "`" * (_longest_ticks(line) + 1), " " if "`" in line else ""
    return f"{marks}{pad}{line}{pad}{marks}"


def code_block(text: str) -> str:
    """Return the text as a block of code, likewise."""
    marks = "`" * max(3, _longest_ticks(text) + 1)
    return f"{marks}\n{printable(text)}\n{marks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def section_lines(section: Section) -> list[str]:
    """Return the paragraphs of a section."""
    parts = [f"## {escape(section.title)}"]
    if section.link:
        address, text = section.link
        parts.append(f"[{escape(text)}]({quote(address)}.md)")
    for table in section.tables:
        parts += [f"### {escape(table.title)}"] if table.title != section.title else []
        parts.append(markdown_table(table))
    parts += [escape(note) for note in section.notes]
    parts += [f"![{escape(caption)}](figures/{stem}.png)" for stem, caption in section.figures]
    parts += [f"{label}:\n\n{code_block(line)}" for label, line in section.commands]
    return parts
