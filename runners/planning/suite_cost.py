"""What a suite costs in device-hours, and the tasks that it is on a number of devices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from runners.planning.cost import num_images
from runners.planning.rates import Throughput, total
from runners.planning.simulation import ScalingStudy, Task, study_scaling
from runners.planning.suite import Member, Suite
from runners.units.workplace import Workplace
from yolact_bench.published_datasets import PUBLISHED_SIZES
from yolact_bench.training_parts import build_schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCost:
    """A suite and the seconds of all its work on one device; None where unknown.

    Work that the work directory has already is included.
    """

    suite: Suite
    train_seconds: Mapping[str, float | None]  # by train digest
    detect_seconds: Mapping[str, float | None]  # by detect digest: at most, without scoring
    sources: tuple[str, ...]  # how the rates of training are known
    unknown: tuple[str, ...]  # arms without a known rate of training
    unknown_evaluations: tuple[str, ...]  # of detection, likewise

    @property
    def counts_evaluation(self) -> bool:
        """Whether all evaluations are in the sums, which leave out those of unknown rate."""
        return not self.unknown_evaluations

    def seconds(self, trainings: Iterable[str], evaluations: Iterable[str]) -> float | None:
        """Return device-seconds of trainings and evaluations by digest, repetitions counted."""
        of_each = [self.train_seconds[digest] for digest in trainings]
        return total([*of_each, *(self.detect_seconds[digest] or 0.0 for digest in evaluations)])

    @property
    def unshared(self) -> float | None:
        """Device-seconds if every arm with every seed were trained and evaluated by itself."""
        runs = [unit.run for unit in self.suite.units]
        return self.seconds((r.train_digest for r in runs), (r.detect_digest for r in runs))

    @property
    def shared_within(self) -> float | None:
        """Device-seconds if each ablation had a work directory to itself."""
        return total(self.seconds(one.trainings, one.evaluations) for one in self.suite.members)

    @property
    def shared(self) -> float | None:
        return self.seconds(self.train_seconds, self.detect_seconds)

    def added_by(self, member: Member) -> float | None:
        """Return device-seconds that a member adds to those before it."""
        return self.seconds(self.suite.new_trainings(member), self.suite.new_evaluations(member))


def estimate_suite(suite: Suite, rates: Throughput, place: Workplace) -> SuiteCost:
    """Return what a suite costs, at rates as `Throughput` knows them."""
    train: dict[str, float | None] = {}
    detect: dict[str, float | None] = {}
    sources: dict[str, None] = {}
    unknown: dict[str, None] = {}
    unknown_evaluations: dict[str, None] = {}
    for unit in suite.units:
        run = unit.run
        if run.train_digest not in train:
            rate, schedule = rates.training(run), build_schedule(run)
            num = schedule.iterations * schedule.batch_size
            train[run.train_digest] = rate.seconds(num) if rate else None
            if rate is None:
                unknown[f"{unit.ablation}/{unit.arm}"] = None
            else:
                sources[rate.text] = None
        if run.detect_digest not in detect:
            rate = rates.detection(run)
            # A published data set need not be opened.
            size = PUBLISHED_SIZES.get(unit.data.name, {}).get(unit.split)
            detect[run.detect_digest] = (
                rate.seconds(size or num_images(unit, place)) if rate else None
            )
            if rate is None:
                unknown_evaluations[f"{unit.ablation}/{unit.arm}"] = None
    return SuiteCost(
        suite=suite,
        train_seconds=train,
        detect_seconds=detect,
        sources=tuple(sources),
        unknown=tuple(unknown),
        unknown_evaluations=tuple(unknown_evaluations),
    )


def suite_tasks(cost: SuiteCost, devices: int, speed_up: float) -> list[Task] | None:
    """Return what is still to be done as tasks; None if the time of any training is unknown.

    A task is a training and the evaluations of its arms, one after the other on one of its
    devices while the others wait: sharded evaluation is not assumed. The arms of an ablation are
    timed on one device after all its trainings, as long as rounds may take. `speed_up` is that of
    a training over one device.
    """
    suite = cost.suite
    evaluations: dict[str, set[str]] = {}
    for unit in suite.units:
        evaluations.setdefault(unit.run.train_digest, set()).add(unit.run.detect_digest)
    tasks = []
    for digest, detections in evaluations.items():
        alone = cost.train_seconds[digest]
        if alone is None:
            return None
        train = 0.0 if digest in suite.trained else alone / speed_up
        detect = cost.seconds((), detections - suite.evaluated)
        if train or detect:
            tasks.append(Task(key=digest, seconds=train + (detect or 0.0), devices=devices))
    keys = {task.key for task in tasks}
    return tasks + [
        _timing(one, keys)
        for one in suite.members
        if "latency" in one.ablation.measure and one.ablation.name not in suite.timed
    ]


def _timing(member: Member, trainings: set[str]) -> Task:
    ablation = member.ablation
    return Task(
        key=f"timing {ablation.name}",
        seconds=ablation.latency.max_s * len(ablation.latency.scenarios),
        after=tuple(sorted(member.trainings & trainings)),
    )


def scale_suite(
    cost: SuiteCost, numbers: Sequence[int], *, devices: int, efficiency: float | None
) -> ScalingStudy:
    """Simulate a suite on each number of devices, of which each training takes `devices`.

    Raises:
        SpecError: fewer devices than one training takes.
    """
    return study_scaling(
        partial(suite_tasks, cost),
        numbers,
        devices=devices,
        efficiency=efficiency,
        titles={u.run.train_digest: f"{u.ablation}/{u.title}" for u in reversed(cost.suite.units)},
    )
