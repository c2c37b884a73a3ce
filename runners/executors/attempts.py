"""Jobs whose worker or machine has died: carried out again, twice, and then a failure."""

import logging
from collections import Counter

from runners.arms.failure import failure_record
from runners.arms.job import Job
from runners.system.retry import RETRIES
from yolact_bench.errors import ArmError
from yolact_bench.results.record import Failure

log = logging.getLogger(__name__)


class Attempts:
    """Counts deaths by job."""

    def __init__(self) -> None:
        self._deaths: Counter[str] = Counter()

    def after_death(self, job: Job, how: str) -> tuple[Failure, ...] | None:
        """Return the failures of a job that has died too often; None: it is to be tried again.

        `how` names the process that died, and the cause.
        """
        self._deaths[job.key] += 1
        if self._deaths[job.key] <= RETRIES:
            log.warning("%s: %s. Continuing from the last checkpoint.", job.title, how)
            return None
        self.forget(job)
        phase = "train" if job.trains else "evaluate"
        error = ArmError(
            "worker_died",
            f"{how}, as in {RETRIES} earlier attempts. If memory ran out, use fewer "
            "--slots or --workers 0; --retry-failed continues from the last checkpoint",
        )
        return tuple(failure_record(unit, job.place, phase, error) for unit in job.units)

    def forget(self, job: Job) -> None:
        """Reset the count of a job that has ended: it may be submitted again."""
        self._deaths.pop(job.key, None)
