"""A report as text: its page, and its main table alone."""

from reports.pages.build import Report
from reports.pages.markdown import markdown_table
from reports.tables.main import comparison


def page(report: Report) -> str:
    return (report.folder / "report.md").read_text()


def main_table(report: Report) -> str:
    return markdown_table(comparison(report.summary))
