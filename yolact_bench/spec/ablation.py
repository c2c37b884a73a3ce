"""From an ablation's YAML to its arms: pure expansion, no side effects, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from yolact_bench.errors import brief, hint
from yolact_bench.ranges import LARGEST_SEED, Seeds
from yolact_bench.spec.arms import ARM_KINDS, check_factors, read_arms
from yolact_bench.spec.base_run import apply_changes, apply_settings, base_run, dataset_name
from yolact_bench.spec.budget import apply_budget, find_budget, smoke_sides
from yolact_bench.spec.budget_names import BUDGETS, FULL, name_ending
from yolact_bench.spec.external import EXTERNAL, External, read_external
from yolact_bench.spec.latency import LATENCY, LatencyPlan, read_latency
from yolact_bench.spec.run import Run
from yolact_bench.yaml_source import Source, read_spec

ABLATION_SCHEMA = 1
_MOST_UNITS = 100_000  # arms times seeds; each is checked, planned and listed
MEASURES = ("accuracy", "latency", "errors")
_WORDS = ("schema", "name", "base", "set", "baseline", "changes", "seeds", "measure", "dataset")
_KEYS = (*_WORDS, *ARM_KINDS, EXTERNAL, LATENCY, "budgets", "paper", "paper_rows", "expect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the table: a name, what it changes, and the run that results."""

    name: str
    changes: Mapping[str, object]  # slot or slot.option → value, as written
    run: Run  # names and options not yet checked against the components
    full: Run  # the run without a budget; `run` may stand in for it
    where: str  # file:line: arms.<name>, for errors found later


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A question: a baseline, and arms that each change a declared factor."""

    name: str  # with the budget, if not full: a proxy's report never replaces the real one
    question: str
    base: str
    baseline: str
    changes: tuple[str, ...]
    seeds: tuple[int, ...]  # added to each arm's own `seed`, which is 0 in presets
    measure: tuple[str, ...]
    dataset: str
    paper: str | None
    paper_rows: Mapping[str, str]  # arm → the row of `paper` that published it
    expect: tuple[str, ...]
    arms: tuple[Arm, ...]
    file: str
    budget: str = FULL
    external: tuple[External, ...] = ()  # rows of other frameworks
    latency: LatencyPlan = field(default_factory=LatencyPlan)

    @property
    def rows(self) -> tuple[str, ...]:
        return (*(arm.name for arm in self.arms), *(row.name for row in self.external))


def load(
    path: Path,
    *,
    settings: Mapping[str, object] | None = None,
    seeds: int | None = None,
    budget: str = FULL,
) -> Ablation:
    """Return the ablation written in `path`.

    `settings` (slot or slot.option → value) change every arm, after the file's own `set`;
    `seeds` replaces the file's seeds with 0 … seeds − 1; the `budget` comes last of all.

    Raises:
        SpecError: with file, line and key; and the nearest valid name for a misspelling.
    """
    source = read_spec(path, schema=ABLATION_SCHEMA, keys=_KEYS)
    arms = _arms(source, apply_settings(base_run(source), settings or {}))
    names = {arm.name: arm for arm in arms}
    baseline = source.name_at("baseline", "")
    if baseline not in names:
        raise source.error(
            ("baseline",), f"no arm is named {brief(baseline)}{hint(baseline, names)}"
        )
    changes = source.strings("changes")
    places = {arm.name: (arm.run, arm.where) for arm in arms}
    check_factors(changes, places, baseline, where=source.where(("changes",)))
    arms = _with_budget(source, arms, budget)
    rehearsal = BUDGETS[budget].rehearsal
    paper = source.data.get("paper")
    expect = source.strings("expect", ())
    return Ablation(
        name=source.name(name_ending(budget)),
        question=source.question,
        base=source.name_at("base", ""),
        baseline=baseline,
        changes=changes,
        seeds=_seeds(source, budget, seeds, arms),
        measure=_measure(source),
        dataset=dataset_name(arms[0].run),
        paper=None if paper is None else str(paper),
        paper_rows=_paper_rows(source, names),
        # A rehearsal meets no expectation; they are read all the same.
        expect=() if rehearsal else expect,
        arms=tuple(arms),
        file=source.file,
        budget=budget,
        external=read_external(source, arms=names, rehearsal=rehearsal),
        latency=read_latency(source),
    )


def _arms(source: Source, base: Run) -> list[Arm]:
    """Return the arms; where they swap a component, it keeps the options of the baseline."""
    kind, named = read_arms(source)

    def run_of(name: str, *keep_of: Run) -> Run:
        path = (kind, name) if kind == "arms" else (kind,)
        return apply_changes(source, path, base, named[name], keep_of=keep_of)

    first = source.name_at("baseline", "")
    baseline = run_of(first, base) if first in named else base
    arms = []
    for name, changes in named.items():
        run = baseline if name == first else run_of(name, base, baseline)
        where = source.where((kind, name))
        arms.append(Arm(name=name, changes=changes, run=run, full=run, where=where))
    return arms


def _with_budget(source: Source, arms: Sequence[Arm], budget: str) -> list[Arm]:
    """Apply the budget to every arm, then the file's own `budgets`."""
    find_budget(budget)
    own = source.mapping(("budgets",))
    source.check_keys(("budgets",), own, [name for name in BUDGETS if name != FULL])

    def changed(run: Run, name: str) -> Run:
        path = ("budgets", name)
        return apply_changes(source, path, run, source.mapping(path), keep_of=(run,))

    for name in own:  # a mistake in any of them counts
        changed(arms[0].run, name)
    sides = smoke_sides(arm.run.image_size for arm in arms)
    return [
        replace(arm, run=changed(apply_budget(arm.run, budget, sides=sides), budget))
        for arm in arms
    ]


def _seeds(source: Source, budget: str, number: int | None, arms: Sequence[Arm]) -> tuple[int, ...]:
    seeds = range(number) if number else _written_seeds(source, budget)
    if len(seeds) * len(arms) > _MOST_UNITS:
        product = f"{len(arms):,} arms with {len(seeds):,} seeds, at most {_MOST_UNITS:,} in all"
        raise source.error(("seeds",), f"{product}; take seeds or arms away")
    for arm in arms:
        if arm.run.seed + max(seeds) > LARGEST_SEED:
            raise source.error(
                ("seeds",),
                f"with the seed {arm.run.seed:,} of {arm.name}, to which they are added, they go "
                f"beyond {LARGEST_SEED:,}; write smaller ones",
            )
    return tuple(seeds)


def _written_seeds(source: Source, budget: str) -> list[int]:
    written: list[int] = source.top("seeds", Seeds, [0])
    if len(set(written)) < len(written):
        raise source.error(("seeds",), f"a seed is given twice: {brief(written)}; remove one")
    return written[:1] if BUDGETS[budget].rehearsal else written


def _measure(source: Source) -> tuple[str, ...]:
    measure = source.strings("measure", ("accuracy", "latency"))
    for item in measure:
        source.word(("measure",), item, MEASURES)
    if not measure:
        raise source.error(("measure",), f"name at least one of {', '.join(MEASURES)}")
    return measure


def _paper_rows(source: Source, arms: Mapping[str, Arm]) -> dict[str, str]:
    """Which published row each arm repeats; whether the paper has it is checked elsewhere."""
    rows = source.mapping(("paper_rows",))
    source.check_keys(("paper_rows",), rows, [*arms, *source.mapping((EXTERNAL,))])
    if rows and source.data.get("paper") is None:
        raise source.error(("paper_rows",), "write paper: and the group that the rows are of")
    return {arm: str(row) for arm, row in rows.items()}
