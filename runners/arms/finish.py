"""Finish units: the one way from an arm with a seed to its records, or to a failure.

In this process, in workers, on Ray, for the rows of other frameworks and for trials of sweeps.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from runners.arms.analyse import analyse_errors, ensure_resampled
from runners.arms.evaluate import evaluate_unit, predict_together
from runners.arms.external.records import evaluate_external
from runners.arms.failure import PhaseError, failure_kind, failure_record, free_memory, phase
from runners.arms.job import Job
from runners.arms.standing_record import standing_accuracy
from runners.arms.train import ensure_trained
from runners.units.check import check_runtime
from runners.units.unit import ExternalUnit, Unit, Work
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError
from yolact_bench.results.record import Accuracy, Record

log = logging.getLogger(__name__)

# Receives the curves of a training: the unit, the iteration, and values by name.
OnLog = Callable[[Unit, int, Mapping[str, float]], None]


def finish(job: Job, *, on_log: OnLog | None = None) -> Iterator[tuple[Record, ...]]:
    """Yield the records of one unit after the other: an accuracy, or a failure with its reason.

    The first unit of a forward pass leaves the predictions of all units of the job that share it.
    A training that failed is not repeated for the next unit.

    Raises:
        TrainingStop: the job was asked to end; a checkpoint has been written.
        KeyboardInterrupt: the process was asked to end; likewise.
    """
    lost: ArmError | None = None
    for row, unit in enumerate(job.units):
        try:
            if isinstance(unit, ExternalUnit):
                with phase("evaluate"):
                    records = evaluate_external(unit, job.place)
            else:
                records = (_evaluate(row, job, lost, on_log),)
        except PhaseError as failed:
            yield (failure_record(unit, job.place, failed.phase, failed.cause),)
            if failed.phase == "train" and lost is None:
                message = f"the training, shared with {unit.title}, failed: {failed.cause}"
                lost = ArmError(failure_kind(failed.cause), message)
            free_memory()
            continue
        yield (*records, *analyse(unit, job))


def ensure_accuracy(unit: Unit, place: Workplace) -> Accuracy:
    """Return the record of a unit, trained, evaluated and recorded unless it is there.

    Its detections come from its whole detector, never from a stored pass.

    Raises:
        ArmError: the unit cannot be trained or evaluated.
        KeyboardInterrupt: a stop was requested; a checkpoint has been written.
    """
    accuracy = standing_accuracy(unit.run, place)
    if accuracy is None:
        accuracy = evaluate_unit(unit, place, ensure_trained(unit, place))
        place.store.add(accuracy)
    return accuracy


def analyse(unit: Work, job: Job) -> Iterator[Record]:
    """Resample the images of an evaluated unit and yield its analysis of errors, as the job asks.

    The accuracy stands without either; the table names what is missing.
    """
    if job.intervals:
        try:
            ensure_resampled(unit, job.place, sizes=job.sizes)
        except Exception as error:
            log.error("%s: no intervals: %s", unit.title, error)
    if job.errors:
        try:
            yield analyse_errors(unit, job.place)
        except Exception as error:
            free_memory()
            yield failure_record(unit, job.place, "errors", error)


def _evaluate(row: int, job: Job, lost: ArmError | None, on_log: OnLog | None) -> Accuracy:
    unit, place = job.units[row], job.place
    assert isinstance(unit, Unit)
    with phase("evaluate"):
        check_runtime(unit.run, place.device)
    with phase("train"):
        if lost is not None:
            raise lost
        training = ensure_trained(
            unit, place, on_log=on_log and (lambda *points: on_log(unit, *points))
        )
    with phase("evaluate"):
        rest = [other for other in job.units[row:] if isinstance(other, Unit)]
        predict_as_one([o for o in rest if o.forward_digest == unit.forward_digest], place)
        return evaluate_unit(unit, place, training)


def predict_as_one(units: Sequence[Unit], place: Workplace) -> None:
    """Leave the predictions of units that share a forward pass, if they can be made together.

    One unit must not fail because of another: otherwise each is evaluated alone.

    Raises:
        ArmError: an image or the disk is at fault, which would fail each unit alone, too.
    """
    try:
        predict_together(units, place)
    except ArmError:
        raise
    except Exception as error:
        if len(units) == 1:
            raise
        names = ", ".join(unit.title for unit in units)
        log.warning("%s: evaluating one by one; the shared pass failed: %s", names, error)
        free_memory()
