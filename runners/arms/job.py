"""A job: what one worker carries out on its own, and what comes back of it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from runners.arms.analyse import ensure_resampled
from runners.arms.evaluate import evaluate_unit
from runners.arms.failure import failure_record, free_memory
from runners.arms.shared_pass import predict_together
from runners.arms.train import ensure_trained
from runners.units.device_checks import check_runtime
from runners.units.unit import Unit
from runners.units.workplace import Datasets, Workplace, trained
from yolact_bench.errors import ArmError
from yolact_bench.results.record import Accuracy, Failure

log = logging.getLogger(__name__)

# Curves of a training: the unit's place in the job, the iteration, and points by name.
Curves = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Units that share one training, with all that a worker needs; it can be sent to one.

    A job goes on from what is on disk: carried out again after a worker has died, it does only
    what is missing, and ends the same.
    """

    units: tuple[Unit, ...]  # of one train_digest
    place: Workplace  # the worker replaces its device with its own
    intervals: bool = True  # resample the images of each unit
    sizes: bool = False  # intervals of AP by object size too

    def __post_init__(self) -> None:
        assert len({unit.run.train_digest for unit in self.units}) == 1

    @property
    def key(self) -> str:
        """What tells it from other jobs: the training."""
        return self.units[0].run.train_digest

    @property
    def title(self) -> str:
        """How progress and log lines call it."""
        return self.units[0].title

    @property
    def folder(self) -> Path:
        """Where its training leaves checkpoints and its log."""
        return self.place.checkpoint_folder(self.units[0].run)

    @property
    def trained(self) -> bool:
        """Whether its training is done."""
        return trained(self.units[0], self.place)

    def at(self, **place: object) -> "Job":
        """Return the same job with other fields of its workplace."""
        return replace(self, place=replace(self.place, **place))  # type: ignore[arg-type]

    def portable(self) -> "Job":
        """Return the same job as plain data without opened data sets, for another process."""
        units = tuple(replace(unit, data=unit.data.portable()) for unit in self.units)
        job = replace(self, units=units)
        return job.at(datasets=Datasets(), work_dir=self.place.work_dir.absolute())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """A job that has ended."""

    job: Job
    results: tuple[Accuracy | Failure, ...]  # of each unit; empty if it was stopped
    stopped: bool = False  # because it was asked to, before its training was over

    @property
    def failed(self) -> bool:
        """Whether a unit of it failed."""
        return any(isinstance(result, Failure) for result in self.results)


class Executor(Protocol):
    """Where jobs are carried out. One coordinator uses it, from one thread.

    Workers never write records or to MLflow: results come back to the coordinator. A worker or a
    node that dies is replaced and its job goes on from its checkpoint, twice; then the job ends
    with a failure of kind `worker_died`.
    """

    @property
    def slots(self) -> int:
        """How many jobs run side by side; more are queued."""

    def submit(self, job: Job) -> None:
        """Carry out a job when there is room. No two of the same key at a time."""

    def wait(self, timeout: float | None = None) -> JobResult | None:
        """Return the next job that has ended; None if none has within `timeout` seconds."""

    def stop(self, key: str) -> None:
        """Ask a job to end: its training stops after the iteration at hand. `wait` returns it."""

    def close(self) -> None:
        """End all workers; what they were at goes on from its checkpoint another time."""


def carry_out(job: Job, *, curves: Curves | None = None) -> tuple[Accuracy | Failure, ...]:
    """Train, predict and evaluate the units of a job; return an accuracy or a failure of each.

    Raises:
        Stopped: the job was asked to end; a checkpoint has been written.
        KeyboardInterrupt: the process was asked to end, likewise.
    """
    results: list[Accuracy | Failure] = []
    lost: ArmError | None = None
    for row, unit in enumerate(job.units):
        phase = "evaluate"
        try:
            check_runtime(unit.run, job.place.device)
            phase = "train"
            if lost is not None:
                raise lost
            training = ensure_trained(unit, job.place, on_log=_of_unit(curves, row))
            phase = "evaluate"
            sharing = [u for u in job.units[row:] if _same_pass(u, unit)]
            predict_as_one(sharing, job.place)
            results.append(evaluate_unit(unit, job.place, training))
        except Exception as error:
            failure = failure_record(unit, job.place, phase, error)
            results.append(failure)
            if phase == "train":
                message = f"the training, shared with {unit.title}, failed: {error}"
                lost = lost or ArmError(failure.kind, message)
            free_memory()
        else:
            if job.intervals:
                resample_or_say(unit, job.place, sizes=job.sizes)
    return tuple(results)


def predict_as_one(units: Sequence[Unit], place: Workplace) -> None:
    """Leave the predictions of units that share a forward pass; one must not fail for another.

    Where they cannot be had together, nothing is left and each is to be evaluated alone.

    Raises:
        ArmError: an image, the disk: no unit would fare better alone.
    """
    try:
        predict_together(units, place)
    except ArmError:
        raise
    except Exception as error:
        if len(units) == 1:
            raise
        names = ", ".join(unit.title for unit in units)
        log.warning("%s: not evaluated together (%s), but one by one", names, error)
        free_memory()


def resample_or_say(unit: Unit, place: Workplace, *, sizes: bool) -> None:
    """Resample the images of a unit; its accuracy stands without, and the table says so."""
    try:
        ensure_resampled(unit, place, sizes=sizes)
    except Exception as error:
        log.error("%s: no intervals: %s", unit.title, error)


def _same_pass(one: Unit, other: Unit) -> bool:
    return one.run.forward_digest == other.run.forward_digest


def _of_unit(curves: Curves | None, row: int) -> Callable[[int, Mapping[str, float]], None] | None:
    if curves is None:
        return None
    return lambda iteration, points: curves(row, iteration, points)
