"""What an ablation would do: its units, what they share, what is already done."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.arms.external.plan import ExternalStep, external_steps
from runners.system.environment import environment
from runners.timing.images import check_same_images
from runners.timing.records import TimingLimits
from runners.units.check import check, check_image_folders
from runners.units.unit import Unit, Work, planned_run
from runners.units.workplace import Workplace, is_trained
from yolact_bench.errors import SpecError, hint
from yolact_bench.resolve import fact_of, in_effect, resolve_architecture
from yolact_bench.results.expect import arms_of
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.session_request import SessionRequest, session_for
from yolact_bench.results.sessions import Kind, Session
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import Ablation
from yolact_bench.spec.budget_names import BUDGETS, FULL
from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.external import EXTERNAL
from yolact_bench.spec.latency import PROTOCOL_VERSION
from yolact_bench.spec.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One unit of a plan, and what it still needs."""

    unit: Unit
    trained: bool
    evaluated: bool
    failed: str | None  # the standing failure, if any
    # What `share_work` says of it among the steps of a plan:
    trains: bool = False  # its training is missing, and it is the first unit to need it
    shares: str | None = None  # the unit whose training it uses, if not its own
    shares_forward: str | None = None  # the unit whose pass over the images it uses, likewise


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
        return sum(not step.evaluated for step in self.steps)

    @property
    def passes(self) -> frozenset[str]:
        """The digests of the forward passes that evaluations still need."""
        return frozenset(s.unit.run.forward_digest for s in self.steps if not s.evaluated)


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
    store, units = place.store, _units(ablation, place, data_root, only)
    failures = {failure.detect_digest: failure for failure in store.failures()}
    steps = []
    for unit in units:
        failure = failures.get(unit.run.detect_digest)
        steps.append(
            Step(
                unit=unit,
                trained=is_trained(unit, place),
                evaluated=store.accuracy(unit.run.detect_digest) is not None,
                failed=f"{failure.phase}: {failure.message}" if failure else None,
            )
        )
    check_image_folders(units)
    if "latency" in ablation.measure:
        check_same_images(units)
    arms = units_to_time(ablation, units, store, retry_failed=retry_failed)
    sessions = [
        session_of(ablation, scenario, arms, place, timing or TimingLimits())
        for scenario in ablation.latency.scenarios
    ]
    return Plan(
        ablation=ablation,
        steps=share_work(steps),
        timed=all(session is not None for session, _ in sessions),
        why_timed_again=next((reason for _, reason in sessions if reason), ""),
        external=external_steps(
            [row for row in ablation.external if not only or row.name in only],
            baseline=next(unit for unit in units if unit.arm == ablation.baseline),
            seeds=ablation.seeds,
            store=store,
            proxy=BUDGETS[ablation.budget].rehearsal,
        ),
    )


def share_work(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps of a plan, each with what it takes over from the first that needs it."""
    trainings: dict[str, str] = {}
    passes: dict[str, str] = {}
    sharing = []
    for step in steps:
        unit = step.unit
        first = trainings.setdefault(unit.run.train_digest, unit.title)
        passed = passes.setdefault(unit.run.forward_digest, unit.title)
        sharing.append(
            replace(
                step,
                trains=not step.trained and first == unit.title,
                shares=None if first == unit.title else first,
                shares_forward=None if passed == unit.title else passed,
            )
        )
    return tuple(sharing)


def check_arms(ablation: Ablation) -> None:
    """Check that no two arms are one run under two names, and that each can begin to train.

    The runs that the spec asks for count, as under a budget arms may become equal. An A/A
    control is the same run with other seeds. Choices that come to the same, as by `in_effect`,
    are one.

    Raises:
        SpecError: two arms with equal digests, or an arm that cannot be resolved or initialised.
    """
    first: dict[tuple[str, int], tuple[str, int]] = {}
    for arm in ablation.arms:
        try:
            run = resolve_architecture(arm.full, files=False)
            _check_init(run)
            same = replace(in_effect(run), seed=0)
        except SpecError as error:
            raise SpecError(f"{arm.where}: {error}") from error
        # The data may not be here, so that the digest has no fingerprint of it.
        identity = same.detect_digest + json.dumps(run.dataset, sort_keys=True)
        for seed in ablation.seeds:
            other, other_seed = first.setdefault((identity, run.seed + seed), (arm.name, seed))
            if other != arm.name:
                raise SpecError(f"{arm.where}: {_fault(other, seed, other_seed)}")


def _check_init(run: Run) -> None:
    """Missing weights must stop the command before the first arm trains."""
    if fact_of(run, "init", "needs_imagenet") and not fact_of(run, "backbone", "imagenet"):
        raise SpecError(
            f"init: imagenet has no weights for {run.backbone['name']}; write init: "
            "{name: checkpoint, file: …} with those of the reference, or init: {name: none}"
        )


def _fault(other: str, seed: int, other_seed: int) -> str:
    if seed == other_seed:
        return (
            f"is the same run as {other!r}, as no difference has an effect; change or remove it, "
            "or, as an A/A control, give it other seeds: {seed: 100}, with seed among changes"
        )
    return (
        f"with seed {seed} is the run of {other!r} with seed {other_seed}, as seeds are added to "
        "an arm's own; write a seed further away: {seed: 100}"
    )


def units_to_time(
    ablation: Ablation, units: Iterable[Unit], store: Store, *, retry_failed: bool
) -> list[Unit]:
    """Return the units of the first seed but those that cannot be timed, as a failure says."""
    phases = ("train", "evaluate", "latency")
    return [
        unit
        for unit in units
        if unit.seed == ablation.seeds[0]
        and (retry_failed or not store.has_failed(unit.detect_digest, phases))
    ]


def session_of(
    ablation: Ablation,
    scenario: str,
    units: Sequence[Unit],
    place: Workplace,
    timing: TimingLimits,
) -> tuple[Session | None, str]:
    """Return the session that times these units as asked here, or why the latest does not."""
    how = timing.apply(ablation.latency)
    request = SessionRequest(
        digests=[unit.detect_digest for unit in units],
        kind=Kind(scenario, PROTOCOL_VERSION, how.batch_size, how.load_name),
        environment=environment(place.device),
        rel_ci=how.rel_ci,
        max_s=how.max_s,
        rounds=timing.rounds,
        twin=how.twin,
    )
    return session_for(place.store, request)


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


def _units(
    ablation: Ablation, place: Workplace, data_root: Path | None, only: Sequence[str]
) -> list[Unit]:
    """Return every chosen arm × seed, all arms checked. A Δ needs the baseline: it is always in."""
    names = dict.fromkeys(ablation.rows)
    for name in only:
        if name not in names:
            raise SpecError(f"--only {name}: no such arm{hint(name, names)}")
    units = []
    for arm in ablation.arms:
        run, data = check(arm.run, where=arm.where, data_root=data_root, device=place.device)
        if not only or arm.name in (*only, ablation.baseline):
            units += units_of(ablation, arm.name, run, data)
    return units


def units_of(ablation: Ablation, arm: str, run: Run, data: DatasetSpec) -> list[Unit]:
    """Return a resolved arm with each seed; an arm's own seed is added to those of the ablation."""
    return [
        Unit(
            ablation=ablation.name,
            arm=arm,
            seed=seed,
            run=replace(run, seed=run.seed + seed),
            data=data,
            proxy=ablation.budget != FULL,
        )
        for seed in ablation.seeds
    ]
