"""Jobs in this process, one after the other."""

from collections import deque
from collections.abc import Iterator

from runners.arms.finish import OnLog, finish
from runners.arms.job import Job, JobResult
from yolact_bench.results.record import Record


class InProcessExecutor:
    """An `Executor` that works while it is waited for, one unit at a time."""

    in_process, slots = True, 1

    def __init__(self, on_log: OnLog | None = None) -> None:
        self._on_log = on_log  # receives the curves of trainings as they come
        self._queue: deque[Job] = deque()
        self._stopped: deque[JobResult] = deque()
        self._job: Job | None = None
        self._units: Iterator[tuple[Record, ...]] = iter(())
        self._left = 0  # units of the job

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def wait(self, timeout: float | None = None) -> JobResult | None:
        """Finish the next unit and return its records; None if there is none.

        Raises:
            KeyboardInterrupt: a stop was requested; a checkpoint has been written.
        """
        if self._stopped:
            return self._stopped.popleft()
        if not self._left:
            if not self._queue:
                return None
            self._job = self._queue.popleft()
            self._units, self._left = finish(self._job, on_log=self._on_log), len(self._job.units)
        records = next(self._units)
        self._left -= 1
        assert self._job is not None
        return JobResult(job=self._job, records=records, over=not self._left)

    def stop(self, key: str) -> None:
        """End a queued job; none runs unless it is waited for."""
        for job in [job for job in self._queue if job.key == key]:
            self._queue.remove(job)
            self._stopped.append(JobResult(job=job, stopped=True))

    def close(self) -> None:
        self._queue.clear()
        self._left = 0
