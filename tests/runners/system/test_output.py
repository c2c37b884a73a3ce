"""What reaches the terminal: nothing that it or a reader would take for a command."""

import io
import logging
import re
from pathlib import Path

import pytest

from runners.system import progress
from runners.system.exit_codes import FAILED_ARMS, exit_code_of
from runners.system.output import LogFormatter, echo
from yolact_bench.errors import ArmError

ROOT = Path(__file__).parents[3]
URI = "postgresql://me:hunter2@host/db"
HOSTILE = f"\x1b[2J\x07{URI}"
SHOWN = r"\x1b[2J\x07postgresql://me:…@host/db"


def test_a_command_prints_no_escape_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    echo(f"first\n{HOSTILE}", err=True)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"first\n{SHOWN}\n")


def test_the_output_of_an_external_command_fails_without_its_escape_sequences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code_of(ArmError("command_failed", f"tool: {HOSTILE}")) == FAILED_ARMS
    assert capsys.readouterr().err == f"failed (command_failed): tool: {SHOWN}\n"


def test_log_lines_and_tracebacks_are_harmless() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter("%(message)s"))
    log = logging.Logger("hostile")
    log.addHandler(handler)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        log.exception("MLflow: %s", HOSTILE)
    text = stream.getvalue()
    assert text.startswith(f"MLflow: {SHOWN}\nTraceback")
    assert text.endswith(f"ValueError: {SHOWN}\n")
    assert "hunter2" not in text


def test_the_log_of_a_command_has_that_form(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logging, "root", root)
    progress.log_to_stderr("[1]  ")
    (handler,) = root.handlers
    assert isinstance(handler.formatter, LogFormatter)


def test_the_title_of_a_loop_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), progress.progress(f"train\n{HOSTILE}", total=1) as advance:
        advance(1, "")
    assert caplog.messages[0].startswith(f"train {SHOWN}  1/1")


def test_text_reaches_the_terminal_through_one_place() -> None:
    """But for the tables of a report, whose colours are escape sequences of our own."""
    doors = {"runners/system/output.py", "runners/cli/terminal.py"}
    others = re.compile(r"\b(?:typer|click)\.s?echo\(|^\s*print\(", re.MULTILINE)
    for folder in ("runners", "reports", "yolact_bench"):
        for file in (ROOT / folder).rglob("*.py"):
            if str(file.relative_to(ROOT)) not in doors:
                assert not others.search(file.read_text(encoding="utf-8")), file
