"""Several ablations as one suite: what they share with one another, and what each adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.arms.standing_record import standing_accuracy
from runners.planning.arm_checks import check_each
from runners.planning.units import sessions_of, units_of, units_to_time
from runners.timing.records import NO_LIMITS, TimingLimits
from runners.units.known_data import resolve_in
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.errors import Faults, MissingDataError, SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.spec.ablation import Ablation, Arm
from yolact_bench.spec.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An ablation of the suite, and its units: every arm with every seed."""

    ablation: Ablation
    units: tuple[Unit, ...]

    @property
    def trainings(self) -> frozenset[str]:
        return frozenset(unit.run.train_digest for unit in self.units)

    @property
    def passes(self) -> frozenset[str]:
        return frozenset(unit.run.forward_digest for unit in self.units)

    @property
    def evaluations(self) -> frozenset[str]:
        return frozenset(unit.run.detect_digest for unit in self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Ablations in order; each reuses the work of those before it."""

    members: tuple[Member, ...]
    left_out: tuple[str, ...]  # ablations on synthetic shapes beside others on real images
    absent: tuple[str, ...]  # data sets that are not on this machine
    trained: frozenset[str]  # train digests that this work directory has
    evaluated: frozenset[str]  # detect digests that it has results of
    timed: frozenset[str]  # ablations whose arms it has timed together, as `run` would

    @property
    def units(self) -> tuple[Unit, ...]:
        """Of all members, duplicates under other names included."""
        return tuple(unit for member in self.members for unit in member.units)

    def new_trainings(self, member: Member) -> frozenset[str]:
        """Return the trainings of a member that no member before it has."""
        return member.trainings.difference(*(one.trainings for one in self._before(member)))

    def new_evaluations(self, member: Member) -> frozenset[str]:
        """Return the detect digests of a member that no member before it has."""
        return member.evaluations.difference(*(one.evaluations for one in self._before(member)))

    def _before(self, member: Member) -> tuple[Member, ...]:
        return self.members[: self.members.index(member)]


def make_suite(
    ablations: Sequence[Ablation],
    *,
    place: Workplace,
    data_root: Path | None,
    timing: TimingLimits = NO_LIMITS,
) -> Suite:
    """Return the suite of these ablations; their data need not be on this machine.

    Names and options are checked; networks are not built, which is what `yolact-bench check`
    does. Ablations on synthetic shapes are for trying out and take minutes: beside others on
    real images they are left out.

    Raises:
        SpecError: an arm that cannot work, or two ablations of one name.
    """
    absent: dict[str, None] = {}
    members: list[Member] = []
    faults, names = Faults(), set[str]()
    for given in ablations:
        ablation = replace(given, latency=timing.apply(given.latency))
        if ablation.name in names:
            other = f"another SPEC is named {ablation.name}; rename one"
            faults.add(SpecError(f"{ablation.file}: {other}"))
        names.add(ablation.name)
        with faults.part():
            members.append(_member(ablation, place, data_root, absent))
    faults.raise_any()
    real = [one for one in members if any(not unit.data.drawn for unit in one.units)]
    parts = real or members
    runs = [unit.run for member in parts for unit in member.units]
    return Suite(
        members=tuple(parts),
        left_out=tuple(one.ablation.name for one in members if one not in parts),
        absent=tuple(absent),
        trained=frozenset(run.train_digest for run in runs if place.weights(run).is_file()),
        evaluated=frozenset(
            run.detect_digest for run in runs if standing_accuracy(run, place) is not None
        ),
        timed=frozenset(one.ablation.name for one in parts if _is_timed(one, place, timing)),
    )


def _is_timed(member: Member, place: Workplace, timing: TimingLimits) -> bool:
    units = units_to_time(member.ablation, member.units, place.store, retry_failed=False)
    sessions = sessions_of(member.ablation, units, place, timing)
    return all(session is not None for session, _ in sessions)


def _member(
    ablation: Ablation, place: Workplace, data_root: Path | None, absent: dict[str, None]
) -> Member:
    def resolve_arm(arm: Arm) -> tuple[Run, DatasetSpec, bool]:
        return resolve_anywhere(arm.run, place, data_root)

    units = []
    resolved = check_each(ablation, resolve_arm)
    for arm, (run, data, present) in zip(ablation.arms, resolved, strict=True):
        if not present:
            absent[data.name] = None
        units += units_of(ablation, arm.name, run, data)
    return Member(ablation=ablation, units=tuple(units))


def resolve_anywhere(
    run: Run, place: Workplace, data_root: Path | None
) -> tuple[Run, DatasetSpec, bool]:
    """Return the run, its data set, and whether the data is here.

    Where it is not, the names of files stand in for their contents: equal names share, others do
    not. Such digests say what is shared in one plan and never name a file.

    Raises:
        SpecError: names or options that cannot work.
    """
    try:
        return *resolve_in(place, run, data_root=data_root), True
    except MissingDataError:
        resolved, data = resolve_run(run, data_root=None, data=False)
    init: Mapping[str, object] = resolved.init
    if init.get("sha256") == "":
        init = {**init, "sha256": f"unseen {init['file']}"}
    train, val = f"unseen {data.name} train", f"unseen {data.name} val"
    return replace(resolved, init=init, train_data=train, eval_data=val), data, False
