"""Results on the terminal are as wide as it is."""

import io
import sys
from functools import partial

import pytest

from reports.pages.terminal import render_table
from reports.sweeps.build import render_sweep
from reports.tables.table import Table
from runners.cli.terminal import print_fitted
from tests.support.fake_sweeps import sweep_of, trial_of

WIDTH = 70


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("NO_COLOR", "1")
    return terminal


def test_a_sweep_fits_the_terminal_without_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow_terminal(monkeypatch)
    trials = [trial_of(number, metrics={"mask_ap": 0.3}) for number in range(2)]
    print_fitted(partial(render_sweep, sweep_of(*trials, best=(1,))))
    output = terminal.getvalue()
    assert "30.00" in output
    assert "|" not in output
    assert max(map(len, output.splitlines())) <= WIDTH


def test_a_table_drops_columns_and_keeps_its_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow_terminal(monkeypatch)
    table = Table(
        title="stages",
        columns=("stage", "wide", "ms"),
        rows=(("backbone", "9" * 60, "1.25"),),
        drops=(0, 1, 0),
        notes=("ms: the median.",),
    )
    print_fitted(partial(render_table, table, notes=True))
    output = terminal.getvalue()
    assert "Not shown at this width: wide." in output
    assert "1.25" in output
    assert "ms: the median." in output
