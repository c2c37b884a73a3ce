"""Jobs side by side on this machine: a worker process for each device, or for each CPU slot."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait

from runners.arms.job import Job, JobResult
from runners.executors.queue import JobQueue
from runners.system.progress import PLAIN
from yolact_bench.results.record import Record

log = logging.getLogger(__name__)

_PATIENCE = 120.0  # seconds for workers to write their checkpoints when the executor closes
_STDERR = 2


class LocalExecutor:
    """An `Executor` of one worker process a slot. A process starts with its first job.

    A worker whose job failed is replaced before its next: what is left on a device after a
    failure is not known.
    """

    in_process = False

    def __init__(self, environments: Sequence[Mapping[str, str]], *, device: str) -> None:
        self._device = device  # cpu, or cuda: what a worker finds under the name
        self._workers: list[_Worker | None] = [None] * len(environments)
        self._environments = environments
        self._queue = JobQueue()
        # Nothing is written to it; its readers see its end when this process ends, however it ends.
        self._lifetime_pipe: tuple[int, int] | None = os.pipe()

    @property
    def slots(self) -> int:
        return len(self._workers)

    def submit(self, job: Job) -> None:
        self._queue.add(job)
        self._assign()

    def wait(self, timeout: float | None = None) -> JobResult | None:
        return self._queue.wait(timeout, self._look)

    def stop(self, key: str) -> None:
        self._queue.stop(key, [worker.job for worker in self._workers if worker and worker.job])

    def close(self) -> None:
        """End all workers; a training among them writes a checkpoint first."""
        self._queue.waiting.clear()
        workers = [worker for worker in self._workers if worker]
        for worker in workers:
            worker.end()
        until = time.monotonic() + _PATIENCE
        try:
            for worker in workers:
                worker.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in workers:
                worker.kill()
            self._workers = [None] * len(self._workers)
            for descriptor in self._lifetime_pipe or ():
                os.close(descriptor)
            self._lifetime_pipe = None

    def _assign(self) -> None:
        for slot, worker in enumerate(self._workers):
            if not self._queue.waiting:
                return
            if worker and worker.job:
                continue
            assert self._lifetime_pipe is not None, "the executor is closed"
            free = worker or _Worker(slot, self._environments[slot], self._lifetime_pipe[0])
            self._workers[slot] = free
            free.start(self._queue.waiting.popleft(), self._device)

    def _look(self, seconds: float) -> bool:
        busy = [worker for worker in self._workers if worker and worker.job]
        if not busy:
            return False
        wait([worker.pipe for worker in busy], seconds)
        for worker in busy:
            if worker.pipe.poll() or worker.ended:
                self._take(worker)
        self._assign()
        return True

    def _take(self, worker: "_Worker") -> None:
        """Take the answer of a worker, or queue its job again where the process has ended."""
        job, slot = worker.job, worker.slot
        assert job is not None
        answer = worker.answer()
        if answer is None:
            self._workers[slot] = None
            self._queue.count_death(job, f"the worker of slot {slot} died ({worker.ending()})")
            return
        kind, records = answer
        worker.job = None
        done = JobResult(job=job, records=tuple(records), stopped=kind == "stopped")
        self._queue.end(done)
        if done.failed:
            worker.end()
            worker.kill()
            self._workers[slot] = None


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self, slot: int, environment: Mapping[str, str], lifetime: int) -> None:
        self.slot = slot
        self.job: Job | None = None
        self.pipe, far_end = Pipe()
        descriptors = far_end.fileno(), lifetime
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runners.executors.worker", *map(str, descriptors), str(slot)],
            pass_fds=descriptors,
            env={**os.environ, PLAIN: "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,  # what a package prints must not get into the command's result
            # A terminal sends Ctrl-C to its whole group; the coordinator decides what it means.
            start_new_session=True,
        )
        far_end.close()  # or the end of the process would not be seen here

    def start(self, job: Job, device: str) -> None:
        self.job = job
        try:
            self.pipe.send(job.portable().at(device=device))
        except OSError:
            log.debug("slot %d: the worker has ended; `wait` handles it", self.slot)

    @property
    def ended(self) -> bool:
        """Whether the process has ended; processes it has forked may still hold its pipe."""
        return self._process.poll() is not None

    def answer(self) -> tuple[str, tuple[Record, ...]] | None:
        """Return how the job ended, and what came of it; None if the process ended before."""
        try:
            if self.pipe.poll():
                kind, records = self.pipe.recv()
                return kind, records
        except (EOFError, OSError):
            log.debug("slot %d: the pipe is closed", self.slot)
        return None

    def end(self) -> None:
        """Ask the process to end: at once if it is idle, else with a checkpoint."""
        self.pipe.close()
        if self.job is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def join(self, timeout: float) -> None:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            log.warning("slot %d: the worker does not end; killing it", self.slot)

    def kill(self) -> None:
        """End the process now, and those it has started: they would run on unsupervised."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ending(self) -> str:
        try:
            code = self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        finally:
            self.kill()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
