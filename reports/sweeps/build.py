"""A sweep to its page, and the check that the page is still what the sweep's file says."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reports.pages.files import compare_files, svg_texts, write_files
from reports.pages.terminal import render_table, wrap
from reports.summary.aggregate import summarise
from reports.sweeps.figures.draw import FIGURES
from reports.sweeps.page import html_page, markdown_page
from reports.sweeps.sentences import headline
from reports.sweeps.tables import best_trials, trials_csv
from reports.tables import main as tables
from reports.tables.table import Table
from yolact_bench.errors import SpecError, hint
from yolact_bench.results import manifest as manifests
from yolact_bench.results import sweep as sweeps
from yolact_bench.results.store import open_store
from yolact_bench.results.sweep import Sweep
from yolact_bench.work_names import REPORTS, SWEEPS, is_name

_PREFIX = "sweeps/"  # distinguishes a sweep from an ablation of the same name


def build_sweep(work_dir: Path, name: str) -> tuple[Path, Sweep]:
    """Write the page (md, html), all trials as CSV and the figures; return folder and sweep.

    The same file gives the same text, whenever and wherever it is built. Every file appears
    whole or not at all.

    Raises:
        SpecError: no such sweep, or a file that cannot be read.
    """
    folder, sweep = _read(work_dir, name)
    confirmed = _confirmation_tables(work_dir, sweep)
    figures = FIGURES.draw(sweep, proxy=sweep.proxy)
    texts = _texts(sweep, tuple(figures), confirmed)
    page = html_page(sweep, svg_texts(figures), confirmed)
    write_files(folder, {**texts, "report.html": page}, figures)
    return folder, sweep


def render_sweep(sweep: Sweep, *, width: int, colour: bool) -> str:
    """Return the headline and the best trials for a terminal of that width."""
    table = best_trials(sweep)
    parts = [wrap(text, width) for text in headline(sweep)]
    if table.rows:
        parts.append(render_table(table, width=width, colour=colour))
    return "\n\n".join(parts)


def check_sweep(work_dir: Path, name: str) -> tuple[str, ...]:
    """Return how the files on disk differ from what the sweep says now; empty if they agree.

    Figures are compared by presence only: they depend on the version of matplotlib.

    Raises:
        SpecError: as `build_sweep`.
    """
    folder, sweep = _read(work_dir, name)
    stems = FIGURES.stems(sweep)
    texts = _texts(sweep, stems, _confirmation_tables(work_dir, sweep))
    return compare_files(folder, texts, stems, "report.html")


def sweep_called(work_dir: Path, name: str) -> str | None:
    """Return the name of the sweep that `report NAME` means; None if it means an ablation.

    `sweeps/nms` is the sweep nms; so is `nms` alone, unless an ablation has that name.
    """
    if name.startswith(_PREFIX):
        return name.removeprefix(_PREFIX)
    if not (is_name(name) and _folder(work_dir, name).joinpath(sweeps.FILE.name).exists()):
        return None
    return None if hides_a_sweep(work_dir, name) else name


def hides_a_sweep(work_dir: Path, name: str) -> bool:
    """Return whether both an ablation and a sweep have this name."""
    if not is_name(name):
        return False
    ablation = work_dir / REPORTS / name / manifests.FILE.name
    return ablation.exists() and _folder(work_dir, name).joinpath(sweeps.FILE.name).exists()


def _read(work_dir: Path, name: str) -> tuple[Path, Sweep]:
    folder = _folder(work_dir, name)
    if not is_name(name) or not (folder / sweeps.FILE.name).exists():
        files = sweeps.FILE.in_folders_of(_folder(work_dir, ""))
        known = dict.fromkeys(file.parent.name for file in files)
        raise SpecError(f"report: {work_dir} has no sweep named {name[:80]!r}{hint(name, known)}")
    return folder, sweeps.load(folder)


def _folder(work_dir: Path, name: str) -> Path:
    return work_dir / SWEEPS / name


def _confirmation_tables(work_dir: Path, sweep: Sweep) -> tuple[Table, ...]:
    """The main table of the ablation that ran the chosen trials again; none before it has run."""
    folder = work_dir / REPORTS / sweep.confirm
    if not is_name(sweep.confirm) or not (folder / manifests.FILE.name).exists():
        return ()
    store = open_store(work_dir)
    table = tables.comparison(summarise(manifests.load(folder), store, work_dir))
    # Its numbers link to rows of the page it is taken from.
    return (replace(table, title=f"From {sweep.confirm}", tips={}, links={}, anchors={}),)


def _texts(
    sweep: Sweep, figures: tuple[str, ...], confirmed: tuple[Table, ...]
) -> Mapping[str, str]:
    return {"report.md": markdown_page(sweep, figures, confirmed), "trials.csv": trials_csv(sweep)}
