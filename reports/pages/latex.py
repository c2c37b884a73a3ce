"""The main tables as LaTeX, to be included in a paper."""

import re

from reports.pages.sections import main_tables, proxy_mark
from reports.summary.aggregate import Summary
from reports.tables.table import Table
from yolact_bench.escape import one_line, printable

_HEAD = r"""% Ablation {name}{proxy}: {question}
% {command}
% \usepackage{{booktabs,graphicx}} and UTF-8 input; \input this file.
"""
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "½": r"$\frac{1}{2}$",
    "†": r"\textdagger{}",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "·": r"$\cdot$",
    "…": r"\ldots{}",
    # A row that starts with one would be read as the option of the \\ before it.
    "[": "{[}",
    "]": "{]}",
    "—": "---",
    "–": "--",
    **{chr(code): rf"\textsuperscript{{{n}}}" for n, code in enumerate(map(ord, "⁰¹²³⁴⁵⁶⁷⁸⁹"))},
}


def latex_report(summary: Summary) -> str:
    """Return the tables that a paper would print as `table` environments."""
    manifest = summary.manifest
    head = _HEAD.format(
        name=one_line(manifest.name),
        proxy=proxy_mark(summary),
        question=one_line(manifest.question),
        command=one_line(manifest.command),
    )
    label = re.sub(r"[^\w.+ -]", "-", printable(manifest.name))
    body = [
        _environment(table, f"tab:{label}-{place}")
        for place, table in enumerate(main_tables(summary), start=1)
    ]
    return head + "\n" + "\n".join(body)


def latex_table(table: Table) -> str:
    """Return the table as a `tabular`: the baseline's name slanted, significant leaders in bold."""
    head = " & ".join(map(escape, table.columns)) + r" \\"
    align = "".join("l" if i in table.words else "r" for i in range(len(table.columns)))
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", head, r"\midrule"]
    for place, row in enumerate(table.rows):
        cells = [
            rf"\textbf{{{escape(cell)}}}" if (place, i) in table.bold else escape(cell)
            for i, cell in enumerate(row)
        ]
        if place == table.baseline:
            cells[0] = rf"\textit{{{cells[0]}}}"
        if cells[0].startswith("*"):  # or it would belong to the \\ before it
            cells[0] = "{}" + cells[0]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def escape(text: str) -> str:
    """Return the text with everything replaced that LaTeX would read as a command."""
    in_place = printable(text.replace("\n", " "))
    return "".join(_SPECIAL.get(character, character) for character in in_place)


def _environment(table: Table, label: str) -> str:
    notes = [rf"\par {escape(note)}" for note in table.notes]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
        rf"\label{{{label}}}",
        r"\small",
        # As wide as it is, or as the column where that is narrower.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        f"{latex_table(table)}}}",
        *([r"\par\smallskip\footnotesize\raggedright", *notes] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
