"""Progress of long loops: what a line keeps where the terminal is narrow."""

import io
import logging
import re
import sys
import time

import pytest

from runners.system.progress import losses_text, progress, progress_line

LOSSES = losses_text({"box": 1.2, "class": 3.4, "mask": 2.25, "semantic": 0.5, "mask_iou": 0.12})


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("title", ["k_4", "yolact_plus_r101_every_block/s2"])
@pytest.mark.parametrize(("done", "total"), [(0, 5), (123_456, 800_000), (800_000, 800_000)])
@pytest.mark.parametrize("left", [None, 42.0, 359_999.0])
def test_bar_count_and_time_left_stay_at_any_width(
    width: int, title: str, done: int, total: int, left: float | None
) -> None:
    line = progress_line(title, done, total, LOSSES, left=left, width=width)
    assert len(line) <= width
    assert sum(line.count(mark) for mark in "━─") >= 8
    assert f"  {done}/{total}  " in line
    assert line.endswith(" left")
    assert line.startswith(title[:7])


def test_losses_go_first_and_the_last_of_them_before_the_others() -> None:
    def at(width: int) -> str:
        return progress_line("train k_4", 30, 60, LOSSES, left=90.0, width=width)

    assert LOSSES in at(140)
    assert "box 1.20  1 min 30 s left" in at(80)
    assert "box" not in at(60)
    assert at(60) == "train k_4  ━━━━━━━━━━━━────────────  30/60  1 min 30 s left"


def test_a_pipe_gets_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), progress("train k_4", 2) as advance:
        advance(1, "box 1.20")
        advance(2, "box 1.10")
    assert [record.getMessage() for record in caplog.records] == [
        "train k_4  2/2  box 1.10  0 s left"
    ]


def test_the_first_line_has_an_estimate_of_the_time_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of four units in 20 s: three more take a minute."""
    times = iter([100.0, 120.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    with caplog.at_level(logging.INFO), progress("train k_4", 4) as advance:
        advance(1, "box 1.20")
    monkeypatch.undo()
    assert [record.getMessage() for record in caplog.records] == [
        "train k_4  1/4  box 1.20  1 min 00 s left"
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_first_advance_of_a_bar_gives_an_estimate_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("YOLACT_BENCH_PLAIN", raising=False)
    with progress("train k_4", 4) as advance:
        advance(1, "")
    estimates = re.findall(r"1/4  (\S.*?) left", terminal.getvalue())
    assert estimates
    assert "?" not in estimates[-1]
