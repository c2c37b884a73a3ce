"""One ablation to all its pages, and the check that the pages are still what the records say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.figures.draw import FIGURES, draw
from reports.pages.files import compare_files, svg_texts, write_files
from reports.pages.html import html_report
from reports.pages.latex import latex_report
from reports.pages.markdown import markdown_report
from reports.summary.aggregate import Summary, summarise
from reports.tables.csv import csv_files
from yolact_bench.errors import SpecError, hint
from yolact_bench.results import manifest as manifests
from yolact_bench.results import sweep as sweeps
from yolact_bench.results.store import open_store
from yolact_bench.work_names import REPORTS, SWEEPS, is_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written, and where."""

    folder: Path
    summary: Summary


def build(work_dir: Path, name: str) -> Report:
    """Write the page (md, html, tex), its tables as CSV and the figures; return a `Report`.

    The same manifest, records and logs give the same text, as nothing in it depends on when or
    where it is built. Every file appears whole or not at all.

    Raises:
        SpecError: no such ablation, a broken manifest or store, an invalid expectation.
    """
    folder = report_folder(work_dir, name)
    summary = read(work_dir, name)
    figures = draw(summary)
    texts = _texts(summary, list(figures))
    page = html_report(summary, svg_texts(figures))
    write_files(folder, {**texts, "report.html": page}, figures)
    return Report(folder=folder, summary=summary)


def check_report(work_dir: Path, name: str) -> tuple[str, ...]:
    """Return how the files on disk differ from what the records say now; empty if they agree.

    Figures are compared by presence only: they depend on the version of matplotlib.

    Raises:
        SpecError: as `build`.
    """
    folder = report_folder(work_dir, name)
    summary = read(work_dir, name)
    stems = FIGURES.stems(summary)
    return compare_files(folder, _texts(summary, stems), stems)


def read(work_dir: Path, name: str) -> Summary:
    """Return the rows of an ablation without writing anything.

    Raises:
        SpecError: as `build`.
    """
    folder = report_folder(work_dir, name)
    store = open_store(work_dir)
    return summarise(manifests.load(folder), store, work_dir)


def report_folder(work_dir: Path, name: str) -> Path:
    """Return the folder of that ablation's report.

    Raises:
        SpecError: the ablation was never run in this work directory.
    """
    reports = work_dir / REPORTS
    folder = reports / name
    if not is_name(name) or not (folder / manifests.FILE.name).exists():
        known = [path.parent.name for path in manifests.FILE.in_folders_of(reports)]
        known += [path.parent.name for path in sweeps.FILE.in_folders_of(work_dir / SWEEPS)]
        raise SpecError(
            f"report: {work_dir} has no ablation or sweep named "
            f"{name[:80]!r}{hint(name, dict.fromkeys(known))}"
        )
    return folder


def _texts(summary: Summary, figures: Sequence[str]) -> dict[str, str]:
    return {
        "report.md": markdown_report(summary, figures),
        "report.tex": latex_report(summary),
        **csv_files(summary),
    }
