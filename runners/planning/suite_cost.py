"""What a programme costs in device-hours, and the tasks that it is on a number of devices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runners.planning.simulation import Task
from runners.planning.suite import Member, Programme
from runners.planning.throughput import Throughput
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.build import build_schedule
from yolact_bench.spec.dataset.dataset import ShapesSplit
from yolact_bench.spec.dataset.sizes import PUBLISHED_SIZES


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A programme and the seconds of all that is in it, on one device; None where unknown.

    They are those of the whole: what is done in the work directory already counts in them.
    """

    programme: Programme
    train_seconds: Mapping[str, float | None]  # by train digest
    detect_seconds: Mapping[str, float | None]  # by detect digest: at most, and without scoring
    sources: tuple[str, ...]  # how the rates of training are known
    unknown: tuple[str, ...]  # arms whose rate of training is not

    @property
    def counts_evaluation(self) -> bool:
        """Whether evaluation is in the sums; they leave it out where any of it is unknown."""
        return None not in self.detect_seconds.values()

    def seconds(self, trainings: Iterable[str], evaluations: Iterable[str]) -> float | None:
        """Return device-seconds of trainings and evaluations by digest, repetitions counted."""
        found = [self.train_seconds[digest] for digest in trainings]
        if self.counts_evaluation:
            found += [self.detect_seconds[digest] for digest in evaluations]
        known = [value for value in found if value is not None]
        return sum(known) if len(known) == len(found) else None

    @property
    def unshared(self) -> float | None:
        """Device-seconds if every arm with every seed were trained and evaluated by itself."""
        runs = [unit.run for unit in self.programme.units]
        return self.seconds((r.train_digest for r in runs), (r.detect_digest for r in runs))

    @property
    def shared_within(self) -> float | None:
        """Device-seconds if each ablation shared its own, in a work directory of its own."""
        parts = [
            self.seconds(member.trainings, {unit.run.detect_digest for unit in member.units})
            for member in self.programme.members
        ]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def shared(self) -> float | None:
        """Device-seconds with everything shared."""
        return self.seconds(self.train_seconds, self.detect_seconds)

    def added_by(self, member: Member) -> float | None:
        """Return device-seconds that a member adds to those before it."""
        programme = self.programme
        return self.seconds(programme.new_trainings(member), programme.new_evaluations(member))


def price(programme: Programme, rates: Throughput, place: Workplace) -> Priced:
    """Return what a programme costs, from rates as `Throughput` knows them."""
    train: dict[str, float | None] = {}
    detect: dict[str, float | None] = {}
    sources: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for unit in programme.units:
        run = unit.run
        if run.train_digest not in train:
            rate, schedule = rates.training(run), build_schedule(run)
            num_images = schedule.iterations * schedule.batch_size
            train[run.train_digest] = None if rate is None else num_images / rate.per_second
            if rate is None:
                unknown[f"{unit.ablation}/{unit.arm}"] = None
            else:
                sources[f"{rate.per_second:.3g} images/s {rate.source}"] = None
        if run.detect_digest not in detect:
            rate = rates.detection(run)
            detect[run.detect_digest] = (
                None if rate is None else num_evaluated(unit, place) / rate.per_second
            )
    return Priced(
        programme=programme,
        train_seconds=train,
        detect_seconds=detect,
        sources=tuple(sources),
        unknown=tuple(unknown),
    )


def tasks_of(priced: Priced, *, devices: int = 1, efficiency: float = 1.0) -> list[Task] | None:
    """Return what is still to be done as tasks; None if the time of any training is unknown.

    A task is a training and the evaluations of its arms. They take turns on one of its devices
    while the others wait: that evaluation is sharded is not counted on. The arms of an ablation
    are timed on one device once all of its trainings are there: as long as rounds may take.
    `efficiency` is the share of `devices` × the speed of one that a training reaches.
    """
    programme = priced.programme
    following: dict[str, set[str]] = {}
    for unit in programme.units:
        following.setdefault(unit.run.train_digest, set()).add(unit.run.detect_digest)
    tasks = []
    for digest, evaluations in following.items():
        alone = priced.train_seconds[digest]
        if alone is None:
            return None
        train = 0.0 if digest in programme.trained else alone / _speed_up(devices, efficiency)
        detect = priced.seconds((), evaluations - programme.evaluated)
        if train or detect:
            tasks.append(Task(key=digest, seconds=train + (detect or 0.0), devices=devices))
    return tasks + _timing(programme, {task.key for task in tasks})


def num_evaluated(unit: Unit, place: Workplace) -> int:
    """Return how many images a unit is evaluated on, without opening a published data set.

    Raises:
        SpecError: a data set of the user's own that cannot be read.
    """
    split = unit.data.split(unit.split)
    if isinstance(split, ShapesSplit):
        return split.num_images
    published = PUBLISHED_SIZES.get(unit.data.name, {})
    if unit.split in published:
        return published[unit.split]
    return len(place.datasets.open(unit.data, unit.split))


def _timing(programme: Programme, trainings: set[str]) -> list[Task]:
    tasks = []
    for member in programme.members:
        ablation = member.ablation
        first = [unit for unit in member.units if unit.seed == ablation.seeds[0]]
        after = {unit.run.train_digest for unit in first} & trainings
        if member.timed:
            tasks.append(
                Task(
                    key=f"timing {ablation.name}",
                    seconds=ablation.latency.max_s * len(ablation.latency.scenarios),
                    after=tuple(sorted(after)),
                )
            )
    return tasks


def _speed_up(devices: int, efficiency: float) -> float:
    return 1.0 if devices == 1 else devices * efficiency
