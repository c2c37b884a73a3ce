"""A sweep to its page, and the check that the page is still what the sweep's file says."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reports.pages.markdown import markdown_table
from reports.summary.aggregate import summarise
from reports.sweeps.figures import page as plots
from reports.sweeps.page import html_page, markdown_page
from reports.sweeps.sentences import headline
from reports.sweeps.tables import best_trials, trials_csv
from reports.tables import main as tables
from reports.tables.table import Table
from yolact_bench.errors import SpecError
from yolact_bench.results import manifest as manifests
from yolact_bench.results import sweep as sweeps
from yolact_bench.results.files import write_atomically
from yolact_bench.results.store import open_store
from yolact_bench.results.sweep import Sweep
from yolact_bench.slots import hint

_PREFIX = "sweeps/"  # tells a sweep from an ablation of the same name


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What was written, and what the caller must tell the user."""

    folder: Path
    markdown: str  # the whole page
    table: str  # headline and best trials, for a terminal
    paths: tuple[Path, ...]
    sweep: Sweep


def build_sweep(work_dir: Path, name: str) -> SweepReport:
    """Write the page (md, html), all trials as CSV and the figures; return what was told.

    The same file gives the same text, whenever and wherever it is built. Every file appears
    whole or not at all.

    Raises:
        SpecError: no such sweep, or a file that cannot be read.
    """
    folder, sweep = _read(work_dir, name)
    confirmed = _confirmed(work_dir, sweep)
    drawn = plots.draw(sweep)
    texts = _texts(sweep, tuple(drawn), confirmed)
    svgs = {stem: kinds["svg"].decode() for stem, kinds in drawn.items()}
    files: dict[str, str | bytes] = {
        f"figures/{stem}.{kind}": data
        for stem, kinds in drawn.items()
        for kind, data in kinds.items()
    }
    files |= {**texts, "report.html": html_page(sweep, svgs, confirmed)}
    for path, content in files.items():
        write_atomically(folder / path, content)
    return SweepReport(
        folder=folder,
        markdown=texts["report.md"],
        table=_for_terminal(sweep),
        paths=tuple(folder / path for path in files),
        sweep=sweep,
    )


def check_sweep(work_dir: Path, name: str) -> tuple[str, ...]:
    """Return how the files on disk differ from what the sweep says now; empty if they agree.

    Figures are compared by presence only: they depend on the version of matplotlib.

    Raises:
        SpecError: as `build_sweep`.
    """
    folder, sweep = _read(work_dir, name)
    stems = plots.stems(sweep)
    differences = []
    for path, expected in _texts(sweep, stems, _confirmed(work_dir, sweep)).items():
        if not (folder / path).exists():
            differences.append(f"{path}: missing")
            continue
        found = (folder / path).read_text()
        lines = difflib.unified_diff(
            found.splitlines(), expected.splitlines(), f"{path} on disk", f"{path} rebuilt", n=0
        )
        if found != expected:
            differences.append("\n".join(line.rstrip("\n") for line in lines))
    files = ["report.html", *(f"figures/{s}.{kind}" for s in stems for kind in ("svg", "png"))]
    differences += [f"{path}: missing" for path in files if not (folder / path).exists()]
    return tuple(differences)


def sweep_called(work_dir: Path, name: str) -> str | None:
    """Return the sweep that `name` means to `report`; None where it means an ablation.

    `sweeps/nms` is the sweep nms; `nms` alone is, unless an ablation is called so too.
    """
    if name.startswith(_PREFIX):
        return name.removeprefix(_PREFIX)
    if not (name and _folder(work_dir, name).joinpath(sweeps.FILE_NAME).exists()):
        return None
    return None if hides_a_sweep(work_dir, name) else name


def hides_a_sweep(work_dir: Path, name: str) -> bool:
    """Return whether both an ablation and a sweep are called so."""
    ablation = work_dir / "reports" / name / manifests.FILE_NAME
    return ablation.exists() and _folder(work_dir, name).joinpath(sweeps.FILE_NAME).exists()


def _read(work_dir: Path, name: str) -> tuple[Path, Sweep]:
    folder = _folder(work_dir, name)
    if not name or not (folder / sweeps.FILE_NAME).exists():
        files = sorted(_folder(work_dir, "").glob(f"*/{sweeps.FILE_NAME}"))
        known = dict.fromkeys(file.parent.name for file in files)
        raise SpecError(f"report: {work_dir} has no sweep named {name!r}{hint(name, known)}")
    return folder, sweeps.load(folder)


def _folder(work_dir: Path, name: str) -> Path:
    return work_dir / "sweeps" / name


def _confirmed(work_dir: Path, sweep: Sweep) -> tuple[Table, ...]:
    """The main table of the ablation that ran the chosen trials again; none before it has run."""
    folder = work_dir / "reports" / sweep.confirm
    if not sweep.confirm or not (folder / manifests.FILE_NAME).exists():
        return ()
    store = open_store(work_dir)
    found = tables.comparison(summarise(manifests.load(folder), store, work_dir))
    # Its numbers link to rows of the page it is taken from.
    return (replace(found, title=f"From {sweep.confirm}", tips={}, links={}, anchors={}),)


def _for_terminal(sweep: Sweep) -> str:
    table = best_trials(sweep)
    return "\n\n".join([*headline(sweep), *([markdown_table(table)] if table.rows else [])])


def _texts(
    sweep: Sweep, figures: tuple[str, ...], confirmed: tuple[Table, ...]
) -> Mapping[str, str]:
    return {
        "report.md": markdown_page(sweep, figures, confirmed),
        "trials.csv": trials_csv(sweep),
    }
