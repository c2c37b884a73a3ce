"""From a sweep's YAML to what is searched, and how: no side effects, no torch, no optuna."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.slots import hint
from yolact_bench.spec.ablation import changed, read_run
from yolact_bench.spec.budget import BUDGETS, FULL, budgeted, smoke_sides
from yolact_bench.spec.latency import KEY as LATENCY
from yolact_bench.spec.latency import LatencyPlan, read_latency
from yolact_bench.spec.objectives import DIRECTIONS, METRICS, MODES, PRUNERS, SAMPLERS, TIMES
from yolact_bench.spec.run import Run
from yolact_bench.spec.source import Source, read
from yolact_bench.spec.space import Params, Space
from yolact_bench.spec.sweep_space import read_space

SWEEP_SCHEMA = 1
_WORDS = ("schema", "name", "base", "dataset", "set", "mode", "objectives", "trials", "sampler")
_KEYS = dict.fromkeys((*_WORDS, LATENCY, "pruner", "validate_every", "seed_from", "space"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruner:
    """How trials that look bad are ended early."""

    name: str
    options: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A question with a search space instead of arms."""

    name: str  # with the budget, if not full
    question: str
    header: tuple[str, ...]
    base: str
    base_run: Run  # names and options not yet checked against the components
    settings: Mapping[str, object]  # of the base and of every trial: the file's, then the user's
    dataset: str
    mode: str
    objectives: Mapping[str, bool]  # metric → whether more is better
    latency: LatencyPlan
    trials: int
    sampler: str
    seed: int
    pruner: Pruner | None
    validate_every: int | None  # iterations; None: a tenth of the schedule
    seed_from: tuple[str, ...]  # ablations
    space: Space
    file: str
    text: str
    where: str  # file:line: space
    budget: str = FULL

    @property
    def trains(self) -> bool:
        """Whether trials train; else all are replays of the base's forward pass."""
        return self.space.trains

    @property
    def timed(self) -> bool:
        """Whether trained trials are timed beside the base."""
        return bool(set(self.objectives) & set(TIMES))

    def run(self, params: Params) -> Run:
        """Return the run of a trial.

        Raises:
            SpecError: a slot that does not take what it is given.
        """
        return self._budgeted(self.base_run.changed(self.space.changes(params)))

    def base_as_run(self) -> Run:
        """Return the run of the base itself."""
        return self._budgeted(self.base_run)

    def _budgeted(self, run: Run) -> Run:
        sizes = {self.base_run.image_size, run.image_size}
        domain = self.space.plain.get("image_size")
        for label in domain.probes() if domain else ():
            sizes.add(int(label))
        return budgeted(run, self.budget, sides=smoke_sides(sizes))


def load_sweep(
    path: Path,
    *,
    settings: Mapping[str, object] | None = None,
    trials: int | None = None,
    budget: str = FULL,
) -> SweepSpec:
    """Return the sweep written in `path`.

    `settings` change the base and so every trial, after the file's own `set`; `trials` replaces
    the file's number.

    Raises:
        SpecError: with file, line and key; and the nearest valid name for a misspelling.
    """
    source = read(path)
    source.check_keys((), source.data, _KEYS)
    if source.data.get("schema") != SWEEP_SCHEMA:
        raise source.error(("schema",), f"expected schema: {SWEEP_SCHEMA}")
    if budget not in BUDGETS:
        raise SpecError(f"--budget {budget}: there is no such budget{hint(budget, BUDGETS)}")
    base, own = _base(source, settings or {})
    mode = _word(source, "mode", "single", MODES)
    space = read_space(source, base)
    name, seed = _sampler(source, space)
    stem = str(source.data.get("name", path.stem))
    spec = SweepSpec(
        name=stem if budget == FULL else f"{stem}-{budget}",
        question=source.header[0] if source.header else "",
        header=source.header,
        base=str(source.data["base"]),
        base_run=base,
        settings=own,
        dataset=Path(str(base.dataset.get("file", base.dataset["name"]))).stem,
        mode=mode,
        objectives=_objectives(source, mode, space),
        latency=read_latency(source),
        trials=trials or _whole(source, "trials", 100),
        sampler=name,
        seed=seed,
        pruner=_pruner(source, mode, space),
        validate_every=_whole(source, "validate_every", 0) or None,
        seed_from=_names(source),
        space=space,
        file=str(path),
        text=path.read_text(encoding="utf-8"),
        where=source.where(("space",)),
        budget=budget,
    )
    _check_budget_mode(source, spec)
    return spec


def _base(source: Source, settings: Mapping[str, object]) -> tuple[Run, dict[str, object]]:
    """Return the run that trials change, and what was set in it."""
    folder = Path(source.file).parent
    written = source.data.get("set", {})
    if not isinstance(written, Mapping):
        raise source.error(("set",), f"expected a mapping of slots to choices, got {written!r}")
    run = _named(source, folder)
    own = {str(key): value for key, value in written.items()}
    data = {"dataset": source.data["dataset"]} if "dataset" in source.data else {}
    for where, changes in (((), data), (("set",), own)):
        for key, value in changes.items():
            try:
                run = changed(run, key, value, relative_to=folder)
            except SpecError as error:
                raise source.error((*where, key), str(error)) from error
    for key, value in settings.items():
        try:
            run = changed(run, key, value, relative_to=Path())
        except SpecError as error:
            raise SpecError(f"--set {key}: {error}") from error
    return run, {**own, **settings}


def _named(source: Source, folder: Path) -> Run:
    if "base" not in source.data:
        raise source.error(("base",), "missing: a preset, or a .yaml file")
    try:
        return read_run(str(source.data["base"]), relative_to=folder)
    except SpecError as error:
        raise source.error(("base",), str(error)) from error


def _word(source: Source, key: str, default: str, known: Mapping[str, object]) -> str:
    word = source.data.get(key, default)
    if not isinstance(word, str) or word not in known:
        raise source.error((key,), f"unknown {word!r}{hint(str(word), known)}")
    return word


def _whole(source: Source, key: str, default: int) -> int:
    value = source.data.get(key, default)
    if type(value) is not int or value < (1 if key in source.data else 0):
        raise source.error((key,), f"expected a whole number of 1 or more, got {value!r}")
    return value


def _objectives(source: Source, mode: str, space: Space) -> dict[str, bool]:
    written = source.data.get("objectives")
    if not isinstance(written, Mapping) or not written:
        raise source.error(("objectives",), "expected metrics, such as {mask_ap: maximise}")
    found = {}
    for key, word in written.items():
        metric = str(key)
        source.check_keys(("objectives",), {metric: word}, METRICS)
        if word not in DIRECTIONS:
            raise source.error(("objectives", metric), f"expected maximise or minimise: {word!r}")
        found[metric] = DIRECTIONS[word]
    if mode == "pareto" and len(found) < 2:
        raise source.error(("objectives",), "mode pareto needs two or more; or write mode: single")
    if mode != "pareto" and len(found) > 1:
        raise source.error(("objectives",), f"mode {mode} has one; for more write mode: pareto")
    if mode == "budget" and set(found) & set(TIMES):
        raise source.error(("objectives",), "mode budget keeps to latency.budget_ms: seek AP")
    return found


def _sampler(source: Source, space: Space) -> tuple[str, int]:
    written = source.data.get("sampler", {})
    if not isinstance(written, Mapping):
        raise source.error(("sampler",), f"expected {{name: tpe, seed: 0}}, got {written!r}")
    source.check_keys(("sampler",), written, {"name": 0, "seed": 0})
    name, seed = written.get("name", "tpe"), written.get("seed", 0)
    if name not in SAMPLERS:
        raise source.error(("sampler", "name"), f"unknown {name!r}{hint(str(name), SAMPLERS)}")
    if type(seed) is not int or seed < 0:
        raise source.error(("sampler", "seed"), f"expected a whole number, got {seed!r}")
    if name == "grid" and space.assignments() is None:
        raise source.error(
            ("sampler", "name"), "grid needs a finite space: give every range a step, or values"
        )
    return str(name), seed


def _pruner(source: Source, mode: str, space: Space) -> Pruner | None:
    written = source.data.get("pruner")
    if written is None:
        return None
    if not isinstance(written, Mapping):
        raise source.error(("pruner",), f"expected {{name: median}} or null, got {written!r}")
    name = str(written.get("name", ""))
    if name not in PRUNERS:
        raise source.error(("pruner", "name"), f"unknown {name!r}{hint(name, PRUNERS)}")
    options = {str(key): value for key, value in written.items() if key != "name"}
    source.check_keys(("pruner",), options, PRUNERS[name])
    for key, value in options.items():
        if type(value) is not int or value < 0:
            raise source.error(("pruner", key), f"expected a whole number, got {value!r}")
    if mode == "pareto":
        raise source.error(
            ("pruner",), "mode pareto has no pruner: no trial is worse than another by one curve"
        )
    if not space.trains:
        raise source.error(("pruner",), "no trial of this space trains, so that none can be ended")
    return Pruner(name=name, options={**PRUNERS[name], **options})


def _names(source: Source) -> tuple[str, ...]:
    names = source.data.get("seed_from", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise source.error(("seed_from",), f"expected names of ablations, got {names!r}")
    return tuple(names)


def _check_budget_mode(source: Source, spec: SweepSpec) -> None:
    if spec.mode == "budget" and spec.latency.budget_ms is None:
        raise source.error(("mode",), "mode budget needs latency: {budget_ms: …}")
    if spec.mode != "budget" and spec.latency.budget_ms is not None:
        raise source.error(("latency", "budget_ms"), "has a meaning in mode: budget only")
    if len(spec.latency.scenarios) != 1:
        raise source.error(("latency", "scenarios"), "a sweep is timed in one scenario")
