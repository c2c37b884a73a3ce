"""What an ablation would do: its units, what they share, what is already done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.arm import Unit, Workplace, check, trained
from yolact_bench.errors import SpecError
from yolact_bench.results.expect import check_expectation
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.store import Store
from yolact_bench.slots import hint
from yolact_bench.spec.ablation import Ablation


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One unit of a plan, and what it still needs."""

    unit: Unit
    trains: bool  # its training is missing, and it is the first unit to need it
    shares: str | None  # the unit whose training it uses, if not its own
    trained: bool
    evaluated: bool
    failed: str | None  # the standing failure, if any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All units of an ablation, in order; those of one training together."""

    ablation: Ablation
    steps: tuple[Step, ...]
    timed: bool  # all arms that can be timed have been timed together

    @property
    def trainings(self) -> int:
        """How many trainings are still to be done."""
        return sum(step.trains for step in self.steps)

    @property
    def evaluations(self) -> int:
        """How many evaluations are still to be done."""
        return sum(not step.evaluated for step in self.steps)


def make_plan(
    ablation: Ablation,
    *,
    place: Workplace,
    store: Store,
    data_root: Path | None,
    only: Sequence[str] = (),
) -> Plan:
    """Return the plan, having checked every arm.

    Raises:
        SpecError: any arm that cannot work; nothing has run yet.
    """
    units = _units(ablation, place, data_root, only)
    failures = {failure.detect_digest: failure for failure in store.failures()}
    owner: dict[str, str] = {}
    steps = []
    for unit in units:
        first = owner.setdefault(unit.run.train_digest, unit.title)
        failure = failures.get(unit.run.detect_digest)
        done = trained(unit, place)
        steps.append(
            Step(
                unit=unit,
                trains=not done and first == unit.title,
                shares=None if first == unit.title else first,
                trained=done,
                evaluated=store.accuracy(unit.run.detect_digest) is not None,
                failed=f"{failure.phase}: {failure.message}" if failure else None,
            )
        )
    could_be_timed = [unit for unit in units if unit.run.detect_digest not in failures]
    return Plan(
        ablation=ablation,
        steps=tuple(steps),
        timed=store.timed_together(timed_digests(ablation, could_be_timed)) is not None,
    )


def check_words(ablation: Ablation, check_paper: Callable[[str], None]) -> None:
    """Check what an ablation says about results: expectations and rows of the paper.

    Raises:
        SpecError: an expectation that cannot be read or names an unknown arm, or unknown rows.
    """
    if ablation.paper is not None:
        try:
            check_paper(ablation.paper)
        except SpecError as error:
            raise SpecError(f"{ablation.file}: {error}") from error
    arms = [arm.name for arm in ablation.arms]
    for text in ablation.expect:
        try:
            check_expectation(text, arms)
        except SpecError as error:
            raise SpecError(f"{ablation.file}: expect: {error}") from error


def plan_lines(plan: Plan) -> list[str]:
    """Return the plan as text, a line a unit."""
    ablation = plan.ablation
    width = max(len(step.unit.title) for step in plan.steps)
    lines = [f"{ablation.name}: {ablation.question}"]
    for step in plan.steps:
        digest = step.unit.run.train_digest
        lines.append(f"  {step.unit.title:<{width}}  training {digest}  {_needs(step)}")
    timing = "done" if plan.timed else "all arms, in one session"
    parts = [f"{plan.trainings} trainings", f"{plan.evaluations} evaluations"]
    if "latency" in ablation.measure:
        parts.append(f"latency: {timing}")
    return [*lines, f"to do: {', '.join(parts)}"]


def plan_facts(plan: Plan) -> dict[str, object]:
    """Return the plan as plain data."""
    return {
        "ablation": plan.ablation.name,
        "trainings": plan.trainings,
        "evaluations": plan.evaluations,
        "timed": plan.timed,
        "units": [
            {
                "arm": step.unit.arm,
                "seed": step.unit.run.seed,
                "train_digest": step.unit.run.train_digest,
                "forward_digest": step.unit.run.forward_digest,
                "detect_digest": step.unit.run.detect_digest,
                "trains": step.trains,
                "shares": step.shares,
                "evaluated": step.evaluated,
                "failed": step.failed,
            }
            for step in plan.steps
        ],
    }


def timed_digests(ablation: Ablation, units: Sequence[Unit]) -> list[str]:
    """Return the detection digests of the units that are timed: all arms, with the first seed."""
    return [u.run.detect_digest for u in units if u.run.seed == ablation.seeds[0]]


def manifest_of(plan: Plan, *, command: str) -> Manifest:
    """Return what a report needs to know of the plan."""
    ablation = plan.ablation
    chosen = {step.unit.arm for step in plan.steps}
    return Manifest(
        name=ablation.name,
        question=ablation.question,
        command=command,
        base=ablation.base,
        baseline=ablation.baseline,
        changes=ablation.changes,
        arm_changes={arm.name: arm.changes for arm in ablation.arms if arm.name in chosen},
        seeds=ablation.seeds,
        measure=ablation.measure,
        dataset=ablation.dataset,
        paper=ablation.paper,
        expect=ablation.expect,
        runs=tuple(
            PlannedRun(
                arm=step.unit.arm,
                seed=step.unit.run.seed,
                train_digest=step.unit.run.train_digest,
                forward_digest=step.unit.run.forward_digest,
                detect_digest=step.unit.run.detect_digest,
                run=step.unit.run.as_dict(),
            )
            for step in plan.steps
        ),
    )


def _needs(step: Step) -> str:
    if step.failed:
        return f"failed before ({step.failed}); --retry-failed tries again"
    if step.evaluated:
        return "done"
    if step.trains:
        return "train, evaluate"
    source = f"shared with {step.shares}" if step.shares else "there"
    return f"evaluate (training {source})"


def _units(
    ablation: Ablation, place: Workplace, data_root: Path | None, only: Sequence[str]
) -> list[Unit]:
    """Return every chosen arm × seed, all arms checked. A Δ needs the baseline: it is always in."""
    names = {arm.name: arm for arm in ablation.arms}
    for name in only:
        if name not in names:
            raise SpecError(f"--only {name}: no such arm{hint(name, names)}")
    units = []
    for arm in ablation.arms:
        run, data = check(arm.run, where=arm.where, data_root=data_root, device=place.device)
        if not only or arm.name in (*only, ablation.baseline):
            units += [
                Unit(ablation=ablation.name, arm=arm.name, run=replace(run, seed=seed), data=data)
                for seed in ablation.seeds
            ]
    return units
