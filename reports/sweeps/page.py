"""The page of a sweep, as Markdown and as one self-contained HTML file."""

from collections.abc import Mapping

from reports.pages.html import inline, pages
from reports.pages.markdown import escaped, markdown_table
from reports.sweeps.sections import Section, sections
from reports.sweeps.sentences import headline, provenance, warnings
from reports.tables.table import Table
from yolact_bench.results.sweep import Sweep


def markdown_page(sweep: Sweep, drawn: tuple[str, ...], confirmed: tuple[Table, ...] = ()) -> str:
    """Return the whole page; `drawn` are the stems of the pictures."""
    found, effort = headline(sweep)
    parts = [
        f"# {sweep.name}",
        escaped(sweep.question),
        f"**{escaped(found)}**",
        escaped(effort),
        f"```\n{sweep.command}\n```",
    ]
    told = warnings(sweep)
    # An empty quoted line keeps them apart.
    parts.append("\n>\n".join(f"> **Note:** {text}" for text in told))
    for section in sections(sweep, drawn, confirmed):
        parts += _section(section)
    facts = [f"- {name}: {escaped(text)}" for name, text in provenance(sweep)]
    parts.append("## Where the numbers come from\n\n" + "\n".join(facts))
    return "\n\n".join(part for part in parts if part) + "\n"


def html_page(sweep: Sweep, figures: Mapping[str, str], confirmed: tuple[Table, ...] = ()) -> str:
    """Return the page; `figures` are stem → SVG text."""
    found, effort = headline(sweep)
    return (
        pages()
        .get_template("sweep.html.jinja")
        .render(
            sweep=sweep,
            found=found,
            effort=effort,
            warnings=warnings(sweep),
            sections=sections(sweep, tuple(figures), confirmed),
            figures={stem: inline(svg) for stem, svg in figures.items()},
            provenance=provenance(sweep),
        )
    )


def _section(section: Section) -> list[str]:
    parts = [f"## {section.title}"]
    if section.link:
        address, text = section.link
        parts.append(f"[{escaped(text)}]({address}.md)")
    for table in section.tables:
        parts += [f"### {table.title}", markdown_table(table)]
    parts += [escaped(note) for note in section.notes]
    parts += [f"![{caption}](figures/{stem}.png)" for stem, caption in section.figures]
    parts += [f"{label}:\n\n```\n{line}\n```" for label, line in section.commands]
    return parts
