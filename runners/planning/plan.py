"""What an ablation would do: its units, what they share, what is already done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.arms.evaluate import find_pass
from runners.arms.external.plan import ExternalStep, external_steps
from runners.arms.standing_record import standing_accuracy
from runners.evaluation.stored_pass import lowest_score
from runners.planning.units import chosen_units, sessions_of, units_to_time
from runners.timing.images import check_same_images
from runners.timing.records import TimingLimits
from runners.units.unit import Unit, Work, planned_run
from runners.units.workplace import Workplace, check_weights, is_trained
from yolact_bench.errors import SpecError
from yolact_bench.results.expect import arms_of
from yolact_bench.results.manifest import Manifest
from yolact_bench.spec.ablation import Ablation
from yolact_bench.spec.budget_names import BUDGETS
from yolact_bench.spec.external import EXTERNAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One unit of a plan, and what it still needs."""

    unit: Unit
    trained: bool
    evaluated: bool
    failed: str | None  # the standing failure, if any
    has_pass: bool = False  # a forward pass on disk serves its detection
    # What `share_work` says of it among the steps of a plan:
    trains: bool = False  # its training is missing, and it is the first unit to need it
    shares: str | None = None  # the unit whose training it uses, if not its own
    shares_forward: str | None = None  # the unit whose pass over the images it uses, likewise

    @property
    def is_missing(self) -> bool:
        """Whether there is neither a result nor a failure that stands: `run` evaluates the unit."""
        return not (self.evaluated or self.failed)

    @property
    def makes_pass(self) -> bool:
        """Whether its evaluation needs a forward pass that is not on disk."""
        return self.is_missing and not self.has_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All units of an ablation, in order; those of one training together."""

    ablation: Ablation
    steps: tuple[Step, ...]
    timed: bool  # all arms that can be timed have been timed together, as this command would
    why_timed_again: str = ""  # what the earlier times lack
    external: tuple[ExternalStep, ...] = ()  # rows of other frameworks

    @property
    def trainings(self) -> int:
        return sum(step.trains for step in self.steps)

    @property
    def evaluations(self) -> int:
        return sum(step.is_missing for step in self.steps)

    @property
    def passes(self) -> frozenset[str]:
        """The digests of the forward passes that evaluations still need."""
        return frozenset(s.unit.run.forward_digest for s in self.steps if s.makes_pass)


def make_plan(
    ablation: Ablation,
    *,
    place: Workplace,
    data_root: Path | None,
    only: Sequence[str] = (),
    timing: TimingLimits | None = None,
    retry_failed: bool = False,
) -> Plan:
    """Return the plan, having checked every arm.

    Raises:
        SpecError: any arm that cannot work; nothing has run yet.
    """
    store, units = place.store, chosen_units(ablation, place, data_root, only)
    steps = [
        Step(
            unit=unit,
            trained=is_trained(unit, place),
            evaluated=standing_accuracy(unit.run, place) is not None,
            failed=None
            if retry_failed
            else store.why_failed(unit.run.detect_digest, ablation.measure),
        )
        for unit in units
    ]
    if "latency" in ablation.measure:
        check_same_images(units)
    arms = units_to_time(ablation, units, store, retry_failed=retry_failed)
    sessions = sessions_of(ablation, arms, place, timing)
    timed = all(session is not None for session, _ in sessions)
    if "latency" in ablation.measure and not timed:
        _check_weights(arms, steps, place)
    return Plan(
        ablation=ablation,
        steps=share_work(replace(step, has_pass=_has_pass(step, place)) for step in steps),
        timed=timed,
        why_timed_again=next((reason for _, reason in sessions if reason), ""),
        external=external_steps(
            [row for row in ablation.external if not only or row.name in only],
            baseline=next(unit for unit in units if unit.arm == ablation.baseline),
            seeds=ablation.seeds,
            measure=ablation.measure,
            store=store,
            proxy=BUDGETS[ablation.budget].rehearsal,
            retry_failed=retry_failed,
        ),
    )


def _has_pass(step: Step, place: Workplace) -> bool:
    if not (step.is_missing and step.trained and place.max_store_bytes):
        return False
    lowest, folder = lowest_score(step.unit.run), place.predictions(step.unit.forward_digest)
    try:
        stored = find_pass(step.unit, place) if folder.is_dir() else None
    except SpecError:  # damaged weights: the evaluation of this arm alone fails
        return False
    return lowest is not None and stored is not None and stored.min_score <= lowest


def _check_weights(units: Iterable[Unit], steps: Iterable[Step], place: Workplace) -> None:
    """Check that units to be timed are trained, or will be by an evaluation.

    Raises:
        SpecError: the checkpoint of one that has been evaluated was deleted.
    """
    trainings = {step.unit.train_digest for step in steps if step.is_missing}
    for unit in units:
        try:
            if unit.train_digest not in trainings:
                check_weights(unit.run, place)
        except SpecError as error:
            raise SpecError(
                f"{unit.title}: cannot be timed: {error}; or write measure: [accuracy]"
            ) from error


def share_work(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps of a plan, each with what it takes over from the first that needs it.

    What is missing is never taken over from a unit that `run` leaves out.
    """
    trainings: dict[tuple[str, bool], str] = {}
    passes: dict[tuple[str, bool], str] = {}
    sharing = []
    for step in steps:
        unit, untrained = step.unit, step.is_missing and not step.trained
        first = trainings.setdefault((unit.run.train_digest, untrained), unit.title)
        passed = passes.setdefault((unit.run.forward_digest, step.makes_pass), unit.title)
        sharing.append(
            replace(
                step,
                trains=untrained and first == unit.title,
                shares=None if first == unit.title else first,
                shares_forward=None if passed == unit.title else passed,
            )
        )
    return tuple(sharing)


def manifest_of(plan: Plan, *, command: str) -> Manifest:
    """Return what a report needs to know of the plan."""
    ablation = plan.ablation
    units: list[Work] = [*(s.unit for s in plan.steps), *(s.unit for s in plan.external)]
    names = {step.unit.arm for step in plan.steps}
    others: dict[str, Mapping[str, object]] = {
        step.unit.arm: {EXTERNAL: step.unit.external.origin} for step in plan.external
    }
    return Manifest(
        name=ablation.name,
        question=ablation.question,
        command=command,
        base=ablation.base,
        baseline=ablation.baseline,
        changes=ablation.changes,
        arm_changes={arm.name: arm.changes for arm in ablation.arms if arm.name in names} | others,
        seeds=ablation.seeds,
        measure=ablation.measure,
        dataset=ablation.dataset,
        paper=ablation.paper,
        paper_rows=ablation.paper_rows,
        expect=tuple(text for text in ablation.expect if names | others.keys() >= arms_of(text)),
        budget=ablation.budget,
        runs=tuple(planned_run(unit) for unit in units),
    )
