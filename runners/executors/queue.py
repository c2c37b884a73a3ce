"""The jobs of an executor: those that wait and those that have ended, and how often each died."""

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

import torch

from runners.arms.failure import failure_record
from runners.arms.job import Job, JobResult
from runners.system.retry import RETRIES
from runners.workdir.stop_file import clear_stop_request, request_stop
from yolact_bench.errors import ArmError

log = logging.getLogger(__name__)

# For workers that have ended while processes that they have started hold the pipe open.
_SECONDS_BETWEEN_LOOKS = 1.0


class JobQueue:
    """Jobs before and after their time in another process, in order.

    A job whose process has died is queued again, twice, and then a failure.
    """

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.ended: deque[JobResult] = deque()
        self._deaths: Counter[str] = Counter()

    def add(self, job: Job) -> None:
        clear_stop_request(job.folder)
        self.waiting.append(job)

    def wait(self, timeout: float | None, take: Callable[[float], bool]) -> JobResult | None:
        """Return the next result, or None after `timeout` seconds or where nothing is busy.

        `take` waits as many seconds at most, takes what has ended and returns whether anything is
        busy.
        """
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self.ended:
            left = until - time.monotonic()
            if not take(min(max(left, 0.0), _SECONDS_BETWEEN_LOOKS)):
                return None
            if left <= 0 and not self.ended:
                return None
        return self.ended.popleft()

    def stop(self, key: str, running: Iterable[Job]) -> None:
        """Ask a job to end; one that has not begun ends at once."""
        for job in [job for job in self.waiting if job.key == key]:
            self.waiting.remove(job)
            self.ended.append(JobResult(job=job, stopped=True))
        for job in running:
            if job.key == key:
                request_stop(job.folder)

    def end(self, result: JobResult) -> None:
        """Keep the result of a job, which may be submitted again later."""
        clear_stop_request(result.job.folder)
        self._deaths.pop(result.job.key, None)
        self.ended.append(result)

    def count_death(self, job: Job, how: str) -> bool:
        """Queue a job first whose process died; return False if it has failed instead.

        `how` names the process that died, and the cause.
        """
        self._deaths[job.key] += 1
        if self._deaths[job.key] <= RETRIES:
            log.warning("%s: %s. Continuing from the last checkpoint.", job.title, how)
            self.waiting.appendleft(job)
            return True
        error = ArmError(
            "worker_died",
            f"{how}, as in {RETRIES} earlier attempts. If memory ran out, use fewer "
            "--slots or --workers 0; --retry-failed continues from the last checkpoint",
        )
        self.fail(job, "train" if job.trains else "evaluate", error)
        return False

    def fail(self, job: Job, phase: str, error: Exception) -> None:
        """End a job with a failure of each unit."""
        # This process may have no device of the kind that the job had.
        place = job.place if torch.cuda.is_available() else job.at(device="cpu").place
        records = tuple(failure_record(unit, place, phase, error) for unit in job.units)
        self.end(JobResult(job=job, records=records))
