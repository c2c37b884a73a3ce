"""A report as text: its page, and its main table alone."""

from pathlib import Path

import pytest

from reports.pages.build import Report, build
from reports.pages.markdown import markdown_table
from reports.tables.main import comparison


def leave_out_figures(patch: pytest.MonkeyPatch) -> None:
    """For tests that do not look at figures, which take seconds to draw."""
    patch.setattr("reports.pages.build.draw", lambda _: {})


def build_text(work_dir: Path, name: str) -> Report:
    """As `build`, without figures."""
    with pytest.MonkeyPatch.context() as patch:
        leave_out_figures(patch)
        return build(work_dir, name)


def page(report: Report) -> str:
    return (report.folder / "report.md").read_text()


def main_table(report: Report) -> str:
    return markdown_table(comparison(report.summary))
