"""Trainings in processes of their own that kill themselves at a chosen moment, with SIGKILL."""

import io
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import torch

from runners.arms import train as arm_training
from runners.arms.train import ensure_trained
from runners.training import checkpoint
from runners.training import loop as training_loop
from runners.training.log import TrainingLog
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.data.collate import Batch

LOG_EVERY = 3

# Forked from a process that has imported torch but never used it: quick, and as good as new.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["runners.arms.train"])


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A moment: what is being done, in or after which iteration."""

    during: str  # a key of DEATHS
    at: int = 0


def train_until(
    unit: Unit, place: Workplace, kept: Path, kill: Kill | None = None, *, patience: float = 120
) -> int:
    """Train as the command does; return the exit code, -9 after a kill.

    A copy of every checkpoint stays in `kept`, by iteration.
    """
    kept.mkdir(exist_ok=True)
    plain = replace(unit.data, splits=dict(unit.data.splits))  # what a pickle can take
    unit = replace(unit, data=plain)
    process = _PROCESSES.Process(target=_train, args=(unit, place, kept, kill))
    process.start()
    process.join(patience)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def _train(unit: Unit, place: Workplace, kept: Path, kill: Kill | None) -> None:
    # Loader workers die with the process that forked them; a fork server would outlive it.
    multiprocessing.set_start_method("fork", force=True)
    torch.set_num_threads(1)
    training_loop.LOG_EVERY = LOG_EVERY
    _keep_copies(kept)
    if kill is not None:
        DEATHS[kill.during](kill.at)
    ensure_trained(unit, place)


def _keep_copies(kept: Path) -> None:
    save = training_loop.save_training

    def save_and_keep(path: Path, **state: object) -> None:
        _Now.iteration = int(str(state["iteration"]))
        save(path, **state)  # type: ignore[arg-type]
        copy = kept / f"{_Now.iteration}.pt"
        copy.unlink(missing_ok=True)
        os.link(path, copy)

    training_loop.save_training = save_and_keep


class _Now:
    iteration = -1  # of the checkpoint that is being written


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _in_step(at: int) -> None:
    """The weights have moved; nothing has been written."""
    step = training_loop.Loop.step

    def deadly(loop: training_loop.Loop, batch: Batch) -> None:
        step(loop, batch)
        if loop.iteration == at:
            _die()

    training_loop.Loop.step = deadly  # type: ignore[method-assign]


def _in_file(when: Callable[[Mapping[str, object]], bool]) -> None:
    """Half of the bytes are in the file."""
    save = torch.save

    def deadly(state: Mapping[str, object], file: BinaryIO) -> None:
        if not when(state):
            save(state, file)
            return
        whole = io.BytesIO()
        save(state, whole)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        _die()

    checkpoint.torch.save = deadly


def _at_rename(name: str, *, at: int | None, after: bool) -> None:
    replace = Path.replace

    def deadly(path: Path, target: Path) -> Path:
        now = target.name == name and at in (None, _Now.iteration)
        if now and not after:
            _die()
        replace(path, target)
        if now:
            _die()
        return target

    Path.replace = deadly  # type: ignore[method-assign,assignment]


def _in_line(when: Callable[[Mapping[str, object]], bool]) -> None:
    """Half of a line of the log is written."""
    append = TrainingLog.append

    def deadly(log: TrainingLog, line: Mapping[str, object]) -> None:
        append(log, line)
        if when(line):
            whole = log._path.stat().st_size
            os.truncate(log._path, whole - 20)
            _die()

    TrainingLog.append = deadly  # type: ignore[method-assign]


def _in_validation(_: int) -> None:
    def deadly(*_: object, **__: object) -> None:
        _die()

    arm_training.validate = deadly


def _before_last_goes(_: int) -> None:
    unlink = Path.unlink

    def deadly(path: Path, missing_ok: bool = False) -> None:
        if path.name == "last.pt":
            _die()
        unlink(path, missing_ok=missing_ok)

    Path.unlink = deadly  # type: ignore[method-assign]


DEATHS: Mapping[str, Callable[[int], None]] = {
    "a step": _in_step,
    "the writing of a checkpoint": lambda at: _in_file(lambda state: state.get("iteration") == at),
    "a checkpoint before its rename": lambda at: _at_rename("last.pt", at=at, after=False),
    "a checkpoint after its rename": lambda at: _at_rename("last.pt", at=at, after=True),
    "the writing of a log line": lambda at: _in_line(lambda line: line["iteration"] == at),
    "the cutting of the log": lambda _: _at_rename("log.jsonl", at=None, after=False),
    "a validation": _in_validation,
    "the writing of a validation": lambda _: _in_line(lambda line: "validation" in line),
    "the writing of the result": lambda _: _in_file(lambda state: "facts" in state),
    "the removal of the last checkpoint": _before_last_goes,
}
