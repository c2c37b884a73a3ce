"""An executor that trains nothing: what comes of a job is a function of its run."""

import json
from collections.abc import Callable
from dataclasses import replace

from runners.arms.job import Job, JobResult
from runners.units.unit import Unit
from tests.support.tracked_arms import accuracy, failure
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.spec.run import Run


class FakeExecutor:
    """Takes a few looks for each job, and shows its curve meanwhile."""

    in_process = False

    def __init__(self, quality: Callable[[Run], float | None], *, slots: int = 2) -> None:
        self.quality = quality  # mask AP; None: the training fails
        self.slots = slots
        self.submitted: list[Job] = []
        self.most_at_once = 0
        self.stopped: list[str] = []
        self.closed = False
        self._running: list[tuple[Job, int]] = []

    def submit(self, job: Job) -> None:
        assert job.key not in {other.key for other, _ in self._running}
        self.submitted.append(job)
        self._running.append((job, 0))
        self.most_at_once = max(self.most_at_once, len(self._running))

    def wait(self, timeout: float | None = None) -> JobResult | None:
        """Show one more point of the oldest job's curve; it ends after three."""
        job, points = self._running.pop(0)
        if job.key in self.stopped:
            return JobResult(job=job, stopped=True)
        unit = job.units[0]
        assert isinstance(unit, Unit)
        run = unit.run
        quality = self.quality(run)
        if points == 3 or quality is None:
            return JobResult(job=job, records=(self._result(job, quality),))
        job.folder.mkdir(parents=True, exist_ok=True)
        line = {"iteration": 10 * (points + 1), "validation": {"mask_ap": quality * (points + 1)}}
        with (job.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._running.append((job, points + 1))
        return None

    def stop(self, key: str) -> None:
        self.stopped.append(key)

    def close(self) -> None:
        self.closed = True

    def _result(self, job: Job, quality: float | None) -> Accuracy | Failure:
        unit = job.units[0]
        known = {
            "ablation": unit.ablation,
            "arm": unit.arm,
            "train_digest": unit.train_digest,
            "detect_digest": unit.detect_digest,
        }
        if quality is None:
            return replace(failure(unit.arm), **known)
        found = accuracy(unit.arm)
        return replace(found, mask=replace(found.mask, ap=quality), **known)
