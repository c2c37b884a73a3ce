"""Commands of other frameworks: they end when they must, with all their children."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.arms.external.command import run_command
from yolact_bench.errors import ArmError

HANGING = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen(['sleep', '60']);"
    "open(sys.argv[1], 'w').write(str(child.pid));"
    "print('waiting', flush=True); time.sleep(60)"
)


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HANGING, str(tmp_path / "pid")]
    with pytest.raises(
        ArmError, match=r"took longer than timeout_minutes: 0\.05; write more, or .*: waiting"
    ) as error:
        run_command(words, folder=tmp_path, log_file=tmp_path / "log", timeout=3.0)
    assert error.value.kind == "timeout"
    assert _is_gone(int((tmp_path / "pid").read_text()))


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A shell's background job, which the tests may be, starts without Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_stop_ends_the_command_and_its_children(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", HANGING, str(tmp_path / "pid")]

    def stop_when_it_hangs() -> None:
        while not (tmp_path / "log").is_file() or not (tmp_path / "log").read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop_when_it_hangs, daemon=True).start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_command(words, folder=tmp_path, log_file=tmp_path / "log", timeout=60.0)
    assert _is_gone(int((tmp_path / "pid").read_text()))
    assert signal.getsignal(signal.SIGTERM) == before


def _is_gone(pid: int) -> bool:
    """Whether a process has ended; it may stay as a zombie where no process reaps orphans."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_our_packages_stay_out_of_the_other_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    code = "import os; print(os.environ.get('PYTHONPATH'))"
    run_command(
        [sys.executable, "-c", code], folder=tmp_path, log_file=tmp_path / "log", timeout=60.0
    )
    assert (tmp_path / "log").read_text() == "None\n"
