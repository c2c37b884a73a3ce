"""From an ablation's YAML to its arms: pure expansion, no side effects, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.slots import hint
from yolact_bench.spec.budget import BUDGETS, FULL, budgeted, smoke_sides
from yolact_bench.spec.dataset.dataset import dataset_choice
from yolact_bench.spec.expand import grid_arms, one_factor_arms
from yolact_bench.spec.external import KEY, External, read_external
from yolact_bench.spec.factors import check_factors
from yolact_bench.spec.latency import KEY as LATENCY
from yolact_bench.spec.latency import LatencyPlan, read_latency
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run
from yolact_bench.spec.source import KeyPath, Source, read

ABLATION_SCHEMA = 1
MEASURES = ("accuracy", "latency", "errors")
_MEASURED = ["accuracy", "latency"]  # unless a spec says otherwise
_ARM_KINDS = ("arms", "grid", "one_factor")
_WORDS = ("schema", "name", "base", "set", "baseline", "changes", "seeds", "measure", "dataset")
_KEYS = dict.fromkeys(
    (*_WORDS, *_ARM_KINDS, KEY, LATENCY, "budgets", "paper", "paper_rows", "expect")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the table: a name, what it changes, and the run that results."""

    name: str
    changes: Mapping[str, object]  # slot or slot.option → value, as written
    run: Run  # names and options not yet checked against the components
    full: Run  # what the spec asks for; `run` may be the stand-in of a budget
    where: str  # file:line: arms.<name>, for errors found later


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A question: a baseline, and arms that each change a declared factor."""

    name: str  # with the budget, if not full: a proxy's report never replaces the real one
    question: str
    header: tuple[str, ...]
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
    external: tuple[External, ...] = ()  # rows that other frameworks fill
    latency: LatencyPlan = field(default_factory=LatencyPlan)

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of all rows of the table, in its order."""
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
    source = read(path)
    source.check_keys((), source.data, _KEYS)
    if source.data.get("schema") != ABLATION_SCHEMA:
        raise source.error(("schema",), f"expected schema: {ABLATION_SCHEMA}")
    base = _base_run(source, path)
    base = _apply(source, ("set",), base, _mapping(source, ("set",), source.data.get("set", {})))
    for key, value in (settings or {}).items():
        try:
            base = changed(base, key, value, relative_to=Path())
        except SpecError as error:
            raise SpecError(f"--set {key}: {error}") from error
    arms = _arms(source, base)
    baseline = str(source.data.get("baseline", ""))
    names = {arm.name: arm for arm in arms}
    if baseline not in names:
        raise source.error(("baseline",), f"no arm is named {baseline!r}{hint(baseline, names)}")
    changes = tuple(_strings(source, "changes", None))
    places = {arm.name: (arm.run, arm.where) for arm in arms}
    check_factors(changes, places, baseline, where=source.where(("changes",)))
    arms = _with_budget(source, arms, budget)
    name = str(source.data.get("name", path.stem))
    return Ablation(
        name=name if budget == FULL else f"{name}-{budget}",
        question=source.header[0] if source.header else "",
        header=source.header,
        base=str(source.data["base"]),
        baseline=baseline,
        changes=changes,
        seeds=tuple(range(seeds)) if seeds else _seeds(source, budget),
        measure=_measure(source),
        dataset=_dataset_name(arms[0].run),
        paper=None if source.data.get("paper") is None else str(source.data["paper"]),
        paper_rows=_paper_rows(source, names),
        # Two iterations meet no expectation; they are read all the same.
        expect=() if budget == "smoke" else tuple(_strings(source, "expect", [])),
        arms=tuple(arms),
        file=str(path),
        budget=budget,
        external=read_external(source, arms=names, smoke=budget == "smoke"),
        latency=read_latency(source),
    )


def read_run(name: str, *, relative_to: Path) -> Run:
    """Return a preset, or the run of another YAML file: its `base` and what it sets.

    Raises:
        SpecError: there is neither.
    """
    if not name.endswith((".yaml", ".yml")):
        if name not in PRESETS:
            raise SpecError(
                f"no preset is named {name!r}{hint(name, PRESETS)}; or give a .yaml file"
            )
        return PRESETS[name]
    source = read(relative_to / name)
    if "backbone" in source.data:
        try:
            return Run.from_dict(source.data)
        except SpecError as error:
            raise SpecError(f"{source.file}: {error}") from error
    source.check_keys((), source.data, {"base": 0, "set": 0, "dataset": 0})
    run = _base_run(source, relative_to / name)
    return _apply(source, ("set",), run, _mapping(source, ("set",), source.data.get("set", {})))


def _base_run(source: Source, path: Path) -> Run:
    if "base" not in source.data:
        raise source.error(("base",), f"missing: a preset{hint('', PRESETS)}; or a .yaml file")
    try:
        run = read_run(str(source.data["base"]), relative_to=path.parent)
    except SpecError as error:
        raise source.error(("base",), str(error)) from error
    if "dataset" in source.data:
        run = _apply(source, (), run, {"dataset": source.data["dataset"]})
    return run


def changed(run: Run, path: str, value: object, *, relative_to: Path) -> Run:
    """Return the run with one slot or option changed as a user writes it.

    A data set may be named, or given as the path of a dataset.yaml from `relative_to`.

    Raises:
        SpecError: an unknown slot, option or data set.
    """
    if path == "dataset":
        value = dataset_choice(value, relative_to=relative_to)
    return run.changed({path: value})


def _apply(source: Source, path: KeyPath, run: Run, changes: Mapping[str, object]) -> Run:
    for key, value in changes.items():
        try:
            run = changed(run, key, value, relative_to=Path(source.file).parent)
        except SpecError as error:
            raise source.error((*path, key), str(error)) from error
    return run


def _arms(source: Source, base: Run) -> list[Arm]:
    given = [kind for kind in _ARM_KINDS if kind in source.data]
    if len(given) != 1:
        raise source.error((), f"give exactly one of {', '.join(_ARM_KINDS)}; found {given}")
    kind = given[0]
    written = _mapping(source, (kind,), source.data[kind])
    if kind == "arms":
        named = {
            name: _mapping(source, (kind, name), {} if changes is None else changes)
            for name, changes in written.items()
        }
    else:
        for factor, values in written.items():
            if not isinstance(values, list) or not values:
                raise source.error((kind, factor), "expected a list of values")
        named = grid_arms(written) if kind == "grid" else one_factor_arms(written)
    if not named:
        raise source.error((kind,), "names no arm")
    made = []
    for name, changes in named.items():
        run = _apply(source, (kind, name) if kind == "arms" else (kind,), base, changes)
        where = source.where((kind, name))
        made.append(Arm(name=name, changes=changes, run=run, full=run, where=where))
    return made


def _with_budget(source: Source, arms: Sequence[Arm], budget: str) -> list[Arm]:
    """Apply the budget to every arm, then what the file's own `budgets` say of it."""
    if budget not in BUDGETS:
        raise SpecError(f"--budget {budget}: there is no such budget{hint(budget, BUDGETS)}")
    own = _mapping(source, ("budgets",), source.data.get("budgets", {}))
    proxies = {name: 0 for name in BUDGETS if name != FULL}
    source.check_keys(("budgets",), own, proxies)
    written = {name: _mapping(source, ("budgets", name), own[name]) for name in own}
    sides = smoke_sides(arm.run.image_size for arm in arms)
    for name, changes in written.items():  # a mistake in one that is not asked for is one, too
        _apply(source, ("budgets", name), arms[0].run, changes)
    return [
        replace(
            arm,
            run=_apply(
                source,
                ("budgets", budget),
                budgeted(arm.run, budget, sides=sides),
                written.get(budget, {}),
            ),
        )
        for arm in arms
    ]


def _mapping(source: Source, path: KeyPath, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise source.error(path, f"expected a mapping of slots to choices, got {value!r}")
    return {str(key): item for key, item in value.items()}


def _strings(source: Source, key: str, default: list[str] | None) -> list[str]:
    value = source.data.get(key, default)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise source.error((key,), f"expected a list of words, got {value!r}")
    return value


def _seeds(source: Source, budget: str) -> tuple[int, ...]:
    value = source.data.get("seeds", [0])
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        if len(set(value)) < len(value):
            raise source.error(("seeds",), f"a seed is given twice: {value}")
        return tuple(value[:1] if budget == "smoke" else value)
    raise source.error(("seeds",), f"expected a list of integers such as [0, 1, 2], got {value!r}")


def _measure(source: Source) -> tuple[str, ...]:
    measure = _strings(source, "measure", _MEASURED)
    for item in measure:
        if item not in MEASURES:
            raise source.error(
                ("measure",), f"unknown {item!r}{hint(item, dict.fromkeys(MEASURES))}"
            )
    if not measure:
        raise source.error(("measure",), f"name at least one of {', '.join(MEASURES)}")
    return tuple(measure)


def _dataset_name(run: Run) -> str:
    return Path(str(run.dataset.get("file", run.dataset["name"]))).stem


def _paper_rows(source: Source, arms: Mapping[str, Arm]) -> dict[str, str]:
    """Which published row each arm repeats; whether there is such a row is checked elsewhere."""
    rows = _mapping(source, ("paper_rows",), source.data.get("paper_rows", {}))
    others = _mapping(source, (KEY,), source.data.get(KEY, {}))
    source.check_keys(("paper_rows",), rows, {**arms, **others})
    if rows and source.data.get("paper") is None:
        raise source.error(("paper_rows",), "write paper: and the group that the rows are of")
    return {arm: str(row) for arm, row in rows.items()}
