"""The end of a command with workers: Ctrl-C, SIGTERM and SIGKILL, sent to the real command line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runners.system.test_interrupt import PROGRAM
from tests.support.small_ablation import SPEC, write_spec
from tests.support.worker_processes import MARK, marked, until

ENDLESS = SPEC.replace("iterations: 3", "iterations: 100000")


class Command:
    """`run --slots 2` on the small ablation: two trainings, side by side."""

    def __init__(self, folder: Path, spec: str = SPEC) -> None:
        self.mark, self.checkpoints = str(folder), folder / "work" / "checkpoints"
        words = ["run", str(write_spec(folder, spec)), "--work-dir", str(folder / "work")]
        words += ["--slots", "2", "--rounds", "2", "--workers", "0", "--device", "cpu", "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "", "", "", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, MARK: self.mark},
        )

    def both_train(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        return len(list(self.checkpoints.glob("*/log.jsonl"))) == 2

    def gone(self) -> bool:
        return not marked(self.mark)


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[list[Command]]:
    made: list[Command] = []
    yield made
    for pid in marked(str(tmp_path)):
        os.kill(pid, signal.SIGKILL)
    for command in made:
        command.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_command_ends_its_workers_with_checkpoints(
    number: signal.Signals, tmp_path: Path, commands: list[Command]
) -> None:
    commands.append(running := Command(tmp_path, ENDLESS))
    until(running.both_train, seconds=180)
    running.process.send_signal(number)
    _, output = running.process.communicate(timeout=90)
    assert running.process.returncode == 130, output
    assert "the same command resumes where this one stopped" in output
    assert "Traceback" not in output
    assert len(list(running.checkpoints.glob("*/last.pt"))) == 2
    assert running.gone()


@pytest.mark.slow
def test_workers_of_a_killed_command_write_checkpoints_and_are_gone_within_a_minute(
    tmp_path: Path, commands: list[Command]
) -> None:
    commands.append(killed := Command(tmp_path, ENDLESS))
    until(killed.both_train, seconds=180)
    assert len(marked(killed.mark)) == 3
    killed.process.kill()
    began = time.monotonic()
    until(killed.gone, seconds=60)
    assert len(list(killed.checkpoints.glob("*/last.pt"))) == 2
    output = killed.process.communicate()[1]
    assert output.count("the coordinator is gone; stopping, with a checkpoint") == 2
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_second_signal_does_not_wait_for_workers(tmp_path: Path, commands: list[Command]) -> None:
    """Workers that are halted cannot write a checkpoint, nor end by themselves."""
    commands.append(running := Command(tmp_path, ENDLESS))
    until(running.both_train, seconds=180)
    for pid in marked(running.mark):
        if pid != running.process.pid:
            os.kill(pid, signal.SIGSTOP)
    running.process.send_signal(signal.SIGINT)
    time.sleep(2.0)
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGINT)
    _, output = running.process.communicate(timeout=30)
    assert running.process.returncode == 130, output
    until(running.gone, seconds=10)


@pytest.mark.slow
def test_slots_leave_one_json_object_on_stdout(tmp_path: Path, commands: list[Command]) -> None:
    commands.append(running := Command(tmp_path))
    out, output = running.process.communicate(timeout=240)
    assert running.process.returncode == 0, output
    assert json.loads(out)["failures"] == []
    assert "  [0]  " in output
    assert "  [1]  " in output
    assert running.gone()
