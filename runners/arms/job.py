"""A job: units that share one training, with all that a worker needs to finish them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.units.unit import Unit, Work
from runners.units.workplace import Datasets, Workplace
from yolact_bench.results.record import Failure, Record
from yolact_bench.work_names import CHECKPOINTS, FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Units that share one training; it can be sent to another process.

    A job continues from what is on disk: repeated after the death of a worker, it does only what
    is missing, and its result is the same.
    """

    units: Sequence[Work]  # of one train_digest
    place: Workplace  # a worker replaces its device by its own
    intervals: bool = True  # resample the images of each unit
    sizes: bool = False  # intervals of AP by object size too
    errors: bool = False  # analyse the errors of each unit

    def __post_init__(self) -> None:
        assert len({unit.train_digest for unit in self.units}) == 1

    @property
    def key(self) -> str:
        return self.units[0].train_digest

    @property
    def title(self) -> str:
        return self.units[0].title

    @property
    def folder(self) -> Path:
        return self.place.work_dir / CHECKPOINTS / self.key

    @property
    def trains(self) -> bool:
        """Whether its training is missing; rows of other frameworks have none."""
        return isinstance(self.units[0], Unit) and not (self.folder / FINAL).is_file()

    def at(self, **place: object) -> "Job":
        """Return the same job with other fields of its workplace."""
        return replace(self, place=replace(self.place, **place))  # type: ignore[arg-type]

    def portable(self) -> "Job":
        """Return the same job as plain data without opened data sets, for another process."""
        assert all(isinstance(unit, Unit) for unit in self.units)
        units = [replace(unit, data=unit.data.portable()) for unit in self.units]
        job = replace(self, units=units)
        return job.at(datasets=Datasets(), work_dir=self.place.work_dir.absolute())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What came of some or all units of a job."""

    job: Job
    records: tuple[Record, ...] = ()
    stopped: bool = False  # on request, before its training was over
    over: bool = True  # False: further units of the job follow

    @property
    def failed(self) -> bool:
        return any(isinstance(record, Failure) for record in self.records)
