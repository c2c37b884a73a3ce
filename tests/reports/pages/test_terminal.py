import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports.pages.build import read
from reports.pages.terminal import fit, render, render_table, wrap
from reports.pages.verdicts import arm_verdicts
from reports.summary.aggregate import Summary
from reports.tables.main import comparison
from reports.tables.table import Table
from tests.support import fake_work

ARMS = ("fast", "sequential", "cross_class_fast", "deformable")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    work = fake_work.write_work(tmp_path_factory.mktemp("work"))
    for arm in ARMS:
        noise = 0.0 if arm == "fast" else 0.001
        fake_work.write_resamples(work, fake_work.accuracy(arm), noise=noise)
    return read(work, fake_work.NAME)


@pytest.mark.parametrize("notes", [False, True])
@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(summary: Summary, width: int, notes: bool) -> None:
    lines = render(summary, width=width, notes=notes).splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_every_number_of_the_table_is_whole(summary: Summary, width: int) -> None:
    """Between the head and the verdicts a line of the grid is a row of the main table."""
    table = comparison(summary)
    text = render_table(table, width=width)
    for row in table.rows:
        line = next(line for line in text.splitlines() if line.startswith(f"{row[0].split()[0]} "))
        cells = [cell for cell in re.split(r"\s{2,}", line) if cell]
        assert set(cells) <= {re.sub(r" [⁰¹²³⁴⁵⁶⁷⁸⁹]", "", cell) for cell in row}


def test_columns_go_in_the_declared_order_and_are_named(summary: Summary) -> None:
    table = comparison(summary)
    wide, dropped = fit(table, 300)
    assert wide.columns == table.columns
    assert dropped == ()
    narrow, dropped = fit(table, 60)
    assert narrow.columns == ("arm", "mask AP", "Δ [95 %]", "fps")
    assert "× baseline [95 %]" in dropped
    assert "box AP Δ [95 %]" in dropped  # the second of two equal heads
    assert "Not shown at this width: AP50, AP75, box AP" in render(summary, width=60)


def test_markdown_never_reaches_the_terminal(summary: Summary) -> None:
    for notes in (False, True):
        text = render(summary, notes=notes)
        assert "**" not in text
        assert "\\" not in text
        assert "|" not in text


def test_notes_and_their_marks_need_the_option(summary: Summary) -> None:
    """`broken` has failed: its reason is in its verdict, with -v in a footnote, too."""
    plain, verbose = render(summary), render(summary, notes=True)
    assert "¹" not in plain
    assert "CPU times say nothing about a GPU" not in plain
    assert "¹ evaluate failed (error): sigma must be above 0" in verbose
    assert "CPU times say nothing about a GPU" in " ".join(verbose.split())


def test_each_arm_has_a_verdict_by_the_rules_of_the_table(summary: Summary) -> None:
    """The intervals are Δ ± 1.96 · 0.1; the ratios 44 / 40, 40 / 38 and 60 / 40."""
    assert arm_verdicts(summary) == (
        "sequential: better by 0.25 mask AP [+0.05, +0.45]; 1.10× slower [1.10, 1.10]",
        "cross_class_fast: worse by 0.50 mask AP [−0.70, −0.30]; 1.053× faster [1.053, 1.053]",
        "deformable: no real difference shown (+2.50 [+2.30, +2.70], one seed); "
        "1.50× slower [1.50, 1.50]",
        "broken: evaluate failed (error): sigma must be above 0",
    )


def test_a_ratio_whose_interval_holds_one_is_no_difference(summary: Summary) -> None:
    row = summary.rows[1]
    assert row.timing is not None
    timing = replace(row.timing, ratio=0.998, ratio_interval=(0.996, 1.001))
    rows = (summary.rows[0], replace(row, timing=timing))
    (verdict,) = arm_verdicts(replace(summary, rows=rows))
    assert verdict.endswith("no difference in time shown (0.998 [0.996, 1.001]×)")


def test_without_resamples_a_difference_is_not_tested(tmp_path: Path) -> None:
    summary = read(fake_work.write_work(tmp_path), fake_work.NAME)
    assert arm_verdicts(summary)[0].startswith("sequential: +0.25 mask AP, not tested; ")


def test_colour_needs_a_terminal(summary: Summary) -> None:
    assert "\x1b[" not in render(summary)
    assert "\x1b[" in render(summary, colour=True)


def test_an_interval_stays_in_one_line() -> None:
    text = wrap("a difference of [−2.30, −0.30] points", 24)
    assert text.splitlines() == ["a difference of", "[−2.30, −0.30] points"]


def test_a_long_name_is_shortened_before_a_number_is() -> None:
    table = Table(title="t", columns=("arm", "ms"), rows=(("a" * 80, "31.25"),))
    assert render_table(table, width=60).splitlines()[1] == "a" * 52 + "…  31.25"


def test_rich_is_loaded_by_the_table_alone() -> None:
    code = "import reports.pages.terminal, sys; assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
