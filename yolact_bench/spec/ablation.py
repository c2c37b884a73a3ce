"""From an ablation's YAML to its arms: pure expansion, no side effects, no torch.

One file: what an ablation is, and the keys from which it is read, each by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from yolact_bench.errors import Faults, brief, hint
from yolact_bench.ranges import LARGEST_SEED, Seeds
from yolact_bench.spec.arms import ARM_KINDS, ArmChanges, check_factors, read_arms
from yolact_bench.spec.base_run import apply_changes, apply_settings, base_run, dataset_name
from yolact_bench.spec.budget import apply_budget, find_budget, smoke_sides
from yolact_bench.spec.budget_names import BUDGETS, FULL, name_ending
from yolact_bench.spec.external import EXTERNAL, External, read_external
from yolact_bench.spec.latency import LATENCY, LatencyPlan, read_latency
from yolact_bench.spec.run import Run
from yolact_bench.yaml_source import Source, read_spec

ABLATION_SCHEMA = 1
_OF_ARMS = ("baseline", "paper_rows")
_MOST_UNITS = 100_000  # arms times seeds; each is checked, planned and listed
MEASURES = ("accuracy", "latency", "errors")
_WORDS = ("schema", "name", "base", "set", "baseline", "changes", "seeds", "measure", "dataset")
_REQUIRED = ("base", "baseline", "changes", "arms")
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
    check: Callable[[Sequence[Arm], Mapping[str, Any]], None] | None = None,
) -> Ablation:
    """Return the ablation written in `path`.

    `settings` (slot or slot.option → value) change every arm, after the file's own `set`;
    `seeds` replaces the file's seeds with 0 … seeds − 1; the `budget` comes last of all. If
    something is wrong, `check` adds what else is: of the arms, and the words that could be read,
    with the names of all rows.

    Raises:
        SpecError: all that is wrong, with file, line and key; and the nearest valid name for a
            misspelling.
    """
    find_budget(budget)
    faults = Faults()
    source = read_spec(path, faults, schema=ABLATION_SCHEMA, keys=_KEYS, required=_REQUIRED)
    names, full, whole = _arms(source, settings or {}, faults)
    words = faults.read_each(_readers(source, names, budget))
    if names and "changes" in words:
        with faults.part():
            check_factors(
                words["changes"],
                {arm.name: (arm.run, arm.where) for arm in whole},
                words.get("baseline", str(source.data.get("baseline", ""))),
                where=source.where(("changes",)),
                complete=len(whole) == len(names),
            )
    arms = _with_budget(source, full, budget, faults)
    with faults.part():
        words["seeds"] = _seeds(source, budget, seeds, arms)
    if faults and check is not None:
        with faults.part():
            check(full, words | {"rows": _rows(source, names)})
    faults.raise_any()
    return Ablation(
        **words,
        question=source.question,
        dataset=dataset_name(arms[0].run),
        arms=tuple(arms),
        file=source.file,
        budget=budget,
    )


def _arms(
    source: Source, settings: Mapping[str, object], faults: Faults
) -> tuple[ArmChanges, list[Arm], list[Arm]]:
    """Return the changes by arm, the arms, and those of them in which nothing is left out.

    Where they swap a component, they keep the options of the baseline.
    """
    before = faults.count
    base = apply_settings(base_run(source, faults), settings, faults)
    left_out = {""} if faults.count > before else set()
    kind, named = read_arms(source, faults)

    def run_of(name: str, *keep_of: Run) -> Run:
        before = faults.count
        path = (kind, name) if kind == "arms" else (kind,)
        with faults.part():
            source.mapping(path, or_none=True)
        run = apply_changes(source, path, base, named[name], faults, keep_of=keep_of)
        if faults.count > before:
            left_out.add(name)
        return run

    first = str(source.data.get("baseline", ""))
    baseline = run_of(first, base) if first in named else base
    arms = []
    for name, changes in named.items():
        run = baseline if name == first else run_of(name, base, baseline)
        where = source.where((kind, name))
        arms.append(Arm(name=name, changes=changes, run=run, full=run, where=where))
    whole = [arm for arm in arms if arm.name not in left_out]
    return named, arms, [] if left_out & {"", first} else whole


def _readers(source: Source, names: ArmChanges, budget: str) -> dict[str, Callable[[], object]]:
    """Return what reads the words of an ablation, those that can be read without its runs."""
    rehearsal = BUDGETS[budget].rehearsal
    paper = source.data.get("paper")
    readers: dict[str, Callable[[], object]] = {
        "name": partial(source.name, name_ending(budget)),
        "base": partial(source.name_at, "base", ""),
        "baseline": partial(_baseline, source, names),
        "changes": partial(source.strings, "changes"),
        "measure": partial(_measure, source),
        "paper": lambda: None if paper is None else str(paper),
        "paper_rows": partial(_paper_rows, source, names),
        # A rehearsal meets no expectation; they are read all the same.
        "expect": lambda: source.strings("expect", ())[: 0 if rehearsal else None],
        "external": partial(read_external, source, arms=names, rehearsal=rehearsal),
        "latency": partial(read_latency, source),
    }
    # Without arms these would not find the names.
    return {key: read for key, read in readers.items() if names or key not in _OF_ARMS}


def _baseline(source: Source, names: ArmChanges) -> str:
    baseline = source.name_at("baseline", "")
    if baseline not in names:
        message = f"no arm is named {brief(baseline)}{hint(baseline, names)}"
        raise source.error(("baseline",), message)
    return baseline


def _with_budget(source: Source, arms: Sequence[Arm], budget: str, faults: Faults) -> list[Arm]:
    """Apply the budget to every arm, then the file's own `budgets`."""
    own: Mapping[str, object] = {}
    with faults.part():
        own = source.mapping(("budgets",))
        source.check_keys(("budgets",), own, [name for name in BUDGETS if name != FULL])

    def changed(run: Run, name: str) -> Run:
        path = ("budgets", name)
        with faults.part():
            changes = source.mapping(path)
            return apply_changes(source, path, run, changes, faults, keep_of=(run,))
        return run

    if not arms:
        return []
    for name in own:  # a mistake in any of them counts
        changed(arms[0].run, name)
    sides = smoke_sides(arm.run.image_size for arm in arms)
    with faults.part():
        return [
            replace(arm, run=changed(apply_budget(arm.run, budget, sides=sides), budget))
            for arm in arms
        ]
    return list(arms)


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
    faults = Faults()
    for item in measure:
        with faults.part():
            source.word(("measure",), item, MEASURES)
    if not measure:
        faults.add(source.error(("measure",), f"name at least one of {', '.join(MEASURES)}"))
    faults.raise_any()
    return measure


def _paper_rows(source: Source, arms: ArmChanges) -> dict[str, str]:
    """Which published row each arm repeats; whether the paper has it is checked elsewhere."""
    rows, faults = source.mapping(("paper_rows",)), Faults()
    with faults.part():
        source.check_keys(("paper_rows",), rows, _rows(source, arms))
    if rows and source.data.get("paper") is None:
        message = "write paper: and the group that the rows are of"
        faults.add(source.error(("paper_rows",), message))
    faults.raise_any()
    return {arm: str(row) for arm, row in rows.items()}


def _rows(source: Source, arms: ArmChanges) -> list[str]:
    """Return the names of arms and of rows of other frameworks, right or wrong."""
    external = source.data.get(EXTERNAL)
    return [*arms, *map(str, external if isinstance(external, Mapping) else ())]
