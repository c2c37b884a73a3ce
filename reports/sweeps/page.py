"""The page of a sweep, as Markdown and as one self-contained HTML file."""

from collections.abc import Mapping

from reports.pages.html import inline, pages
from reports.pages.markdown import code_block, escape, escape_prose, section_lines
from reports.pages.sections import Section, proxy_mark
from reports.sweeps import tables as sweep_tables
from reports.sweeps.sentences import headline, importance_note, provenance, warnings
from reports.tables.table import Table
from yolact_bench.results.sweep import Sweep


def sections(
    sweep: Sweep, stems: tuple[str, ...], confirmed: tuple[Table, ...] = ()
) -> tuple[Section, ...]:
    """Return the sections that have something to show; `stems` are those of the figures."""
    mark = proxy_mark(sweep)
    result = (
        Section(
            title="Result",
            tables=(sweep_tables.best_trials(sweep),),
            figures=_figures(stems, mark, ("front", _front_caption(sweep))),
        ),
        Section(title="Confirmed with more seeds", tables=confirmed, link=_confirmed_link(sweep)),
        Section(
            title="How the search went",
            figures=_figures(
                stems,
                mark,
                ("history", "Every trial in order, and the best so far"),
                ("trainings", "Validation AP during the trainings of trials"),
            ),
        ),
        Section(
            title="What mattered",
            notes=(importance_note(sweep),) if "importance" in stems else (),
            figures=_figures(
                stems,
                mark,
                ("importance", "Share of the variation among the better trials"),
                (
                    "slices",
                    "Trials by parameter: only where it was active; darker trials are later; "
                    "ringed: the best",
                ),
            ),
        ),
        Section(title="Failures", tables=(sweep_tables.failures(sweep),)),
        Section(title="Measure it again", commands=sweep_tables.commands(sweep)),
    )
    return tuple(
        section
        for section in result
        if any(table.rows for table in section.tables)
        or (section.figures or section.commands or section.link)
    )


def markdown_page(sweep: Sweep, stems: tuple[str, ...], confirmed: tuple[Table, ...] = ()) -> str:
    """Return the whole page; `stems` are those of the figures."""
    result, effort = headline(sweep)
    parts = [
        f"# {escape(sweep.name)}{proxy_mark(sweep)}",
        escape(sweep.question),
        f"**{escape(result)}**",
        escape(effort),
        code_block(sweep.command),
    ]
    notes = warnings(sweep)
    # An empty quoted line keeps them apart.
    parts.append("\n>\n".join(f"> **Note:** {escape_prose(text)}" for text in notes))
    for section in sections(sweep, stems, confirmed):
        parts += section_lines(section)
    facts = [f"- {name}: {escape(text)}" for name, text in provenance(sweep)]
    parts.append("## Where the numbers come from\n\n" + "\n".join(facts))
    return "\n\n".join(part for part in parts if part) + "\n"


def html_page(sweep: Sweep, figures: Mapping[str, str], confirmed: tuple[Table, ...] = ()) -> str:
    """Return the page; `figures` are stem → SVG text."""
    result, effort = headline(sweep)
    return (
        pages()
        .get_template("sweep.html.jinja")
        .render(
            sweep=sweep,
            proxy=proxy_mark(sweep),
            result=result,
            effort=effort,
            warnings=warnings(sweep),
            sections=sections(sweep, tuple(figures), confirmed),
            figures={stem: inline(svg) for stem, svg in figures.items()},
            provenance=provenance(sweep),
        )
    )


def _confirmed_link(sweep: Sweep) -> tuple[str, str] | None:
    if not sweep.confirm:
        return None
    return f"../../reports/{sweep.confirm}/report", f"Report of {sweep.confirm}"


def _figures(
    stems: tuple[str, ...], mark: str, *wanted: tuple[str, str]
) -> tuple[tuple[str, str], ...]:
    return tuple((stem, caption + mark) for stem, caption in wanted if stem in stems)


def _front_caption(sweep: Sweep) -> str:
    if len(sweep.objectives) > 1:
        return "The front: what no other trial beats in every objective; the numbers are trials"
    return "Every trial by what it costs; blue: the best"
