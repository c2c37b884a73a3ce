"""The report as one self-contained HTML page: styles and figures are inside."""

import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.pages.sections import provenance, proxy_mark, sections, verdicts
from reports.summary.aggregate import Summary
from yolact_bench.escape import printable

_TEMPLATES = Path(__file__).with_name("templates")


def html_report(summary: Summary, figures: Mapping[str, str]) -> str:
    """Return the page; `figures` are stem → SVG text."""
    template = pages().get_template("report.html.jinja")
    return template.render(
        manifest=summary.manifest,
        proxy=proxy_mark(summary),
        warnings=summary.warnings,
        verdicts=verdicts(summary),
        sections=sections(summary, figures),
        figures={stem: inline(svg) for stem, svg in figures.items()},
        provenance=provenance(summary),
    )


def pages() -> Environment:
    """Return the templates of all pages; what is put into them is printable, and escaped."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inline(svg: str) -> Markup:
    """Return the <svg> element alone, without the prologue that only a file of its own may have.

    Our own figures are the only text that goes into the page unescaped.
    """
    element = svg[svg.index("<svg") :]
    # Its size in points would overflow narrow windows; viewBox keeps the proportions.
    for size in ("width", "height"):
        element = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", element, count=1)
    return Markup(element)
