import csv
import io
import re
from pathlib import Path

import pytest

from reports.pages.build import read
from reports.pages.html import html_report
from reports.pages.latex import latex_report
from reports.pages.markdown import markdown_report
from reports.pages.terminal import render
from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables import main
from reports.tables.csv import csv_files
from reports.tables.table import Column, tabulate
from tests.support import fake_work


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return read(fake_work.write_work(tmp_path), fake_work.NAME)


def test_a_column_is_added_in_one_place_for_five_formats(
    summary: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = main.columns
    letters: Column[ArmRow] = Column("letters", lambda row, _notes: f"{len(row.arm)}.5")
    monkeypatch.setattr(main, "columns", lambda summary: (*usual(summary), letters))

    assert re.search(
        r"\| letters \|\n.*\n\| \*fast\* .*\|     4\.5 \|", markdown_report(summary, ())
    )
    assert ">letters</th>" in html_report(summary, {})
    assert re.search(r"& letters \\\\(.|\n)*\\textit\{fast\}.*& 4\.5 \\\\", latex_report(summary))
    line = next(csv.DictReader(io.StringIO(csv_files(summary)["table.csv"])))
    assert line["letters"] == "4.5"
    assert re.search(r"letters\nfast .* 4\.5\n", render(summary, width=140))


def test_a_column_may_lead_be_faint_and_have_a_tip() -> None:
    rows = ("a", "bb")
    columns = (
        Column[str]("name", lambda row, _notes: row, words=True),
        Column[str](
            "length",
            lambda row, notes: f"{len(row)} {notes.mark('counted')}",
            leads=lambda row: row == "bb",
            faint=lambda row: row == "a",
            tip=lambda row: "" if row == "a" else "by hand",
            drop=3,
        ),
        Column[str]("hidden", lambda row, _notes: row, shown=False),
    )
    table = tabulate("t", columns, rows, baseline=0)
    assert table.columns == ("name", "length")
    assert table.rows == (("a", "1 ¹"), ("bb", "2 ¹"))
    assert (table.words, table.drops) == (frozenset({0}), (0, 3))
    assert (table.bold, table.faint) == (frozenset({(1, 1)}), frozenset({(0, 1)}))
    assert table.tips == {(1, 1): "by hand"}
    assert table.notes == ("¹ counted",)
