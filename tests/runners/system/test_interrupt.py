"""Ctrl-C and SIGTERM in every phase of a run, sent to the real command line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runners.system.interrupt import graceful_stop, terminable
from tests.support.small_ablation import SPEC, write_spec

# The command line, without MLflow, which alone would take seconds, and with a function that
# leaves a mark and then takes a minute.
PROGRAM = """\
import importlib, signal, sys, time
from pathlib import Path
from runners.cli import main as cli
from runners.cli import run as command
from tests.support.no_tracker import NoTracker

# A shell's background job, such as the tests' own process, starts without Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
module, name, mark, *words = sys.argv[1:]
sys.argv = ["yolact-bench", *words]

def slow(*_, **__):
    Path(mark).touch()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.1)

if module:
    *above, last = module.split(":")
    owner = importlib.import_module(above[0] if above else last)
    setattr(getattr(owner, last) if above else owner, name, slow)
command.Tracker = lambda _: NoTracker()
cli.main()
"""
PHASES = {
    "training": ("runners.training.loop:Loop", "step"),
    "validation": ("runners.arms.train", "validate"),
    "evaluation": ("runners.arms.evaluate", "predict"),
    "resampling": ("runners.arms.analyse", "resample"),
    "timing": ("runners.timing.records", "time_session"),
    "report": ("runners.cli.run", "build"),
}


class Command:
    """`run` on one arm of the small ablation, slow in one phase, in a process group of its own."""

    def __init__(self, folder: Path, phase: str = "", spec: str = SPEC) -> None:
        self.mark = folder / "mark"
        self.mark.unlink(missing_ok=True)
        module, name = PHASES.get(phase, ("", ""))
        words = ["run", str(write_spec(folder, spec)), "--work-dir", str(folder / "work")]
        words += ["--only", "k_4", "--rounds", "2", "--workers", "0", "--device", "cpu"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, module, name, str(self.mark), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, path: Path) -> None:
        """Wait until a file is there."""
        deadline = time.monotonic() + 120
        while not path.exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Signal the process alone, as a scheduler does."""
        self.process.send_signal(number)

    def end(self, timeout: float = 60) -> tuple[int, str]:
        """Return exit code and output."""
        try:
            output = self.process.communicate(timeout=timeout)[0]
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        return self.process.returncode, output


def test_sigterm_in_a_training_leaves_a_checkpoint_and_the_same_command_ends_it(
    tmp_path: Path,
) -> None:
    spec = SPEC.replace("iterations: 3", "iterations: 5000")
    first = Command(tmp_path, spec=spec)
    (checkpoints := tmp_path / "work" / "checkpoints").mkdir(parents=True)
    while not list(checkpoints.glob("*/log.jsonl")):  # ten iterations
        assert first.process.poll() is None, first.process.communicate()[0]
        time.sleep(0.1)
    first.send(signal.SIGTERM)
    code, output = first.end()
    assert code == 130, output
    assert "stopping after this iteration, with a checkpoint" in output
    assert "the same command resumes where this one stopped" in output
    assert len(list(checkpoints.glob("*/last.pt"))) == 1

    second = Command(tmp_path, phase="training", spec=spec)
    second.wait_for(second.mark)
    second.send(signal.SIGTERM)
    time.sleep(1.0)
    assert second.process.poll() is None  # the iteration is not at its end
    second.send(signal.SIGTERM)
    code, output = second.end(timeout=20)
    assert code == 130, output
    assert "resumes at iteration" in output


@pytest.mark.parametrize(
    ("phases", "number"),
    [
        (("evaluation", "timing"), signal.SIGTERM),
        (("validation", "resampling", "report"), signal.SIGINT),
    ],
)
@pytest.mark.slow
def test_a_signal_in_any_other_phase_stops_at_once_and_the_same_command_goes_on(
    phases: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    """In a validation a training waits for its end; a second signal does not."""
    for phase in phases:
        running = Command(tmp_path, phase)
        running.wait_for(running.mark)
        running.send(number)
        if phase == "validation":
            time.sleep(0.5)
            running.send(number)
        code, output = running.end(timeout=30)
        assert code == 130, (phase, output)
        assert "Traceback" not in output
        assert "the same command resumes where this one stopped" in output
    code, output = Command(tmp_path).end(timeout=120)
    assert code == 0, output


def test_sigterm_is_an_interrupt_until_the_command_ends() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.0)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_stop_asked_for_after_the_last_iteration_is_not_forgotten() -> None:
    with pytest.raises(KeyboardInterrupt), graceful_stop() as should_stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert should_stop()
    with graceful_stop() as should_stop:
        assert not should_stop()


def test_a_failure_while_stopping_does_not_start_the_next_arm() -> None:
    with pytest.raises(KeyboardInterrupt), graceful_stop():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("the loss is not finite")
    with pytest.raises(ValueError, match="not finite"), graceful_stop():
        raise ValueError("the loss is not finite")


def test_a_second_signal_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), graceful_stop():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")
