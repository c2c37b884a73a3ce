"""Several ablations as one programme: what they share with one another, and what each adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.planning.plan import units_of
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import MissingDataError, SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import Ablation
from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.run import Run

_DRAWN = "shapes"  # the kind of data set that is drawn, not read


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An ablation of the programme, and its units: every arm with every seed."""

    ablation: Ablation
    units: tuple[Unit, ...]

    @property
    def trainings(self) -> frozenset[str]:
        """The train digests of its units."""
        return frozenset(unit.run.train_digest for unit in self.units)

    @property
    def passes(self) -> frozenset[str]:
        """The forward digests of its units."""
        return frozenset(unit.run.forward_digest for unit in self.units)

    @property
    def timed(self) -> bool:
        """Whether its arms are timed, in one session on one device."""
        return "latency" in self.ablation.measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """Ablations in order: what one needs that one before it has made, it takes from there."""

    members: tuple[Member, ...]
    left_out: tuple[str, ...]  # ablations on drawn shapes beside others on real images
    absent: tuple[str, ...]  # data sets that are not on this machine
    trained: frozenset[str]  # train digests that this work directory has
    evaluated: frozenset[str]  # detect digests that it has results of

    @property
    def units(self) -> tuple[Unit, ...]:
        """Of all members, those that are equal but for their name among them."""
        return tuple(unit for member in self.members for unit in member.units)

    def new_trainings(self, member: Member) -> frozenset[str]:
        """Return the trainings of a member that no member before it has."""
        before = self.members[: self.members.index(member)]
        return member.trainings.difference(*(one.trainings for one in before))

    def new_evaluations(self, member: Member) -> frozenset[str]:
        """Return the detect digests of a member that no member before it has."""
        before = self.members[: self.members.index(member)]
        return frozenset(unit.run.detect_digest for unit in member.units) - {
            unit.run.detect_digest for one in before for unit in one.units
        }


def make_programme(
    ablations: Sequence[Ablation], *, place: Workplace, store: Store, data_root: Path | None
) -> Programme:
    """Return the programme of these ablations; their data need not be on this machine.

    Names and options are checked, networks are not built: that is `yolact-bench check`.
    Beside ablations on real images those on drawn shapes are left out: they are for trying
    out, and take minutes.

    Raises:
        SpecError: an arm that cannot work, or two ablations of one name.
    """
    absent: dict[str, None] = {}
    members: list[Member] = []
    for ablation in ablations:
        if any(ablation.name == one.ablation.name for one in members):
            raise SpecError(f"{ablation.file}: another SPEC is named {ablation.name}, too")
        members.append(_member(ablation, data_root, absent))
    drawn = [one for one in members if all(unit.data.kind == _DRAWN for unit in one.units)]
    kept = [one for one in members if one not in drawn] or drawn
    programme = Programme(
        members=tuple(kept),
        left_out=tuple(one.ablation.name for one in members if one not in kept),
        absent=tuple(absent),
        trained=frozenset(),
        evaluated=frozenset(),
    )
    runs = [unit.run for unit in programme.units]
    return replace(
        programme,
        trained=frozenset(run.train_digest for run in runs if place.weights(run).is_file()),
        evaluated=frozenset(
            run.detect_digest for run in runs if store.accuracy(run.detect_digest) is not None
        ),
    )


def _member(ablation: Ablation, data_root: Path | None, absent: dict[str, None]) -> Member:
    units = []
    for arm in ablation.arms:
        try:
            run, data, seen = resolved_anywhere(arm.run, data_root)
        except SpecError as error:
            raise type(error)(f"{arm.where}: {error}") from error
        if not seen:
            absent[data.name] = None
        units += units_of(ablation, arm.name, run, data)
    return Member(ablation=ablation, units=tuple(units))


def resolved_anywhere(run: Run, data_root: Path | None) -> tuple[Run, DatasetSpec, bool]:
    """Return the run, its data set, and whether the data was seen; else its name stands in.

    Raises:
        SpecError: names or options that cannot work.
    """
    try:
        return *resolve_run(run, data_root=data_root), True
    except MissingDataError:
        resolved, data = resolve_run(run, data_root=None, data=False)
        return _unseen(resolved, data), data, False


def _unseen(run: Run, data: DatasetSpec) -> Run:
    """Stand the names of files in for their contents: equal names share, others do not.

    Such a run's digests say what is shared in one plan. No file is ever named by them.
    """
    init: Mapping[str, object] = run.init
    if init["name"] == "checkpoint" and not init["sha256"]:
        init = {**init, "sha256": f"unseen {init['file']}"}
    return replace(
        run,
        init=init,
        train_data=f"unseen {data.name} train",
        eval_data=f"unseen {data.name} val",
    )
