"""Worker processes of an executor, as a test finds, watches and kills them."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from runners.executors.local import LocalExecutor

MARK = "YOLACT_BENCH_TEST_MARK"  # in the environment of a command: its workers inherit it


def local(slots: int) -> LocalExecutor:
    """An executor whose workers have a thread each, as these tests' own process does."""
    return LocalExecutor([{"OMP_NUM_THREADS": "1"}] * slots, device="cpu")


def worker_of(executor: LocalExecutor, key: str) -> int | None:
    """Return the process that carries out a job now."""
    for worker in executor._workers:
        if worker is not None and worker.job is not None and worker.job.key == key:
            return worker._process.pid
    return None


class Killer:
    """SIGKILL to whoever carries out a job, each time a checkpoint beyond the last is there."""

    def __init__(self, executor: LocalExecutor, key: str, last: Path, *, kills: int) -> None:
        self._executor, self._key, self._last, self._left = executor, key, last, kills
        self._seen = 0.0
        self.killed: list[int] = []

    def __call__(self) -> None:
        """Look once."""
        pid = worker_of(self._executor, self._key)
        if pid is None or pid in self.killed or not self._left or not self._last.exists():
            return
        written = self._last.stat().st_mtime
        if written > self._seen:
            os.kill(pid, signal.SIGKILL)
            self._seen = time.time()
            self._left -= 1
            self.killed.append(pid)


def marked(mark: str) -> list[int]:
    """Return the processes that live and carry a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def until(true: Callable[[], bool], *, seconds: float) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)
