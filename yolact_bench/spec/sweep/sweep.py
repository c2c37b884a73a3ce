"""From a sweep's YAML to what is sought, where, and how. No torch, no Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.slots import hint
from yolact_bench.spec.ablation import changed, read_run
from yolact_bench.spec.budget import BUDGETS, FULL, budgeted, smoke_sides
from yolact_bench.spec.latency import KEY as LATENCY
from yolact_bench.spec.latency import LatencyPlan, read_latency
from yolact_bench.spec.run import ARCHITECTURE, DETECTION, TRAINING, Run
from yolact_bench.spec.source import Source, read
from yolact_bench.spec.sweep.keys import (
    MODES,
    TIME_METRICS,
    Sought,
    objectives_in,
    pruner_in,
    sampler_in,
    seed_from_in,
    whole_in,
    word_in,
)
from yolact_bench.spec.sweep.space import Components, Space, parameters
from yolact_bench.spec.sweep.space_reading import read_space

SWEEP_SCHEMA = 1
# A trial compares with another by what it reaches on the same data.
_FIXED = ("dataset", "seed")
_KEYS = dict.fromkeys(
    (
        *("schema", "name", "base", "set", "dataset", "mode", "objectives", LATENCY, "trials"),
        *("sampler", "pruner", "seed_from", "space", "validate_every"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A search: a base, a space around it, and what is sought there."""

    name: str  # with the budget, if not full
    question: str
    header: tuple[str, ...]
    base: str
    settings: Mapping[str, object]  # the file's `set`, and those of the command line
    run: Run  # the base, with the file's `set`; names and options not yet checked
    dataset: str
    mode: str
    objectives: tuple[Sought, ...]
    latency: LatencyPlan
    trials: int
    sampler: str
    sampler_seed: int
    pruner: str
    pruner_options: Mapping[str, object]  # Optuna's
    seed_from: tuple[str, ...]  # ablations of the work directory whose arms become trials
    space: Space
    validate_every: int | None  # iterations; None: a tenth of the schedule
    budget: str
    source: Source

    @property
    def trains(self) -> bool:
        """Whether a trial may need a training of its own; otherwise all share the base's."""
        return any(path.partition(".")[0] in ARCHITECTURE + TRAINING for path in self.space)

    @property
    def replays(self) -> bool:
        """Whether trials differ in detection alone: one forward pass serves all."""
        return all(path.partition(".")[0] in DETECTION for path in self.space)

    @property
    def identity(self) -> Mapping[str, str]:
        """What trials of one study have in common, so that they compare; by name, as text."""
        base = {f"base's {slot}": str(one) for slot, one in self.run.as_dict().items()}
        space = {f"range of {name}": str(one) for name, one in parameters(self.space).items()}
        given = {
            f"{path} of the space": str({name: dict(one) for name, one in entry.given.items()})
            for path, entry in self.space.items()
            if isinstance(entry, Components)
        }
        sought = ", ".join(f"{one.metric} {one.maximise}" for one in self.objectives)
        latency = str(self.latency) if self.timed or self.mode == "budget" else ""
        return {
            **base,
            **space,
            **given,
            "mode": self.mode,
            "objective": sought,
            "latency": latency,
        }

    @property
    def timed(self) -> bool:
        """Whether an objective is a time."""
        return any(one.metric in TIME_METRICS for one in self.objectives)

    def where(self, *path: str) -> str:
        """Return file, line and key, for errors found later."""
        return self.source.where(path)

    def changed(self, changes: Mapping[str, object]) -> Run:
        """Return the run of a trial.

        Raises:
            SpecError: an unknown slot, option or data set.
        """
        run = self.run
        for path, value in changes.items():
            run = changed(run, path, value, relative_to=Path(self.source.file).parent)
        return run


def is_sweep(path: Path) -> bool:
    """Return whether a spec is a sweep's, by its space.

    Raises:
        SpecError: the file cannot be read.
    """
    return "space" in read(path).data


def load_sweep(
    path: Path,
    *,
    settings: Mapping[str, object] | None = None,
    trials: int | None = None,
    budget: str = FULL,
) -> SweepSpec:
    """Return the sweep written in `path`.

    `settings` (slot or slot.option → value) change the base, after the file's own `set`; `trials`
    replaces the file's number. A `budget` shortens every training.

    Raises:
        SpecError: with file, line and key; and the nearest valid name for a misspelling.
    """
    source = read(path)
    source.check_keys((), source.data, _KEYS)
    if source.data.get("schema") != SWEEP_SCHEMA:
        raise source.error(("schema",), f"expected schema: {SWEEP_SCHEMA}")
    run = _base(source, settings or {})
    space = read_space(source)
    _check_space(source, run, space)
    if budget not in BUDGETS:
        raise SpecError(f"--budget {budget}: there is no such budget{hint(budget, BUDGETS)}")
    run = budgeted(run, budget, sides=smoke_sides([run.image_size]))
    mode = word_in(source, "mode", "single", MODES)
    latency = read_latency(source)
    objectives = objectives_in(source, mode)
    if mode == "budget" and latency.budget_ms is None:
        raise source.error(("mode",), "budget needs latency: {budget_ms: …}")
    name = str(source.data.get("name", path.stem))
    sampler, seed = sampler_in(source)
    pruner, options = pruner_in(source, mode, objectives)
    return SweepSpec(
        name=name if budget == FULL else f"{name}-{budget}",
        question=source.header[0] if source.header else "",
        header=source.header,
        base=str(source.data["base"]),
        settings={**_own_settings(source), **(settings or {})},
        run=run,
        dataset=Path(str(run.dataset.get("file", run.dataset["name"]))).stem,
        mode=mode,
        objectives=objectives,
        latency=latency,
        trials=trials if trials is not None else whole_in(source, "trials", 50),
        sampler=sampler,
        sampler_seed=seed,
        pruner=pruner,
        pruner_options=options,
        seed_from=seed_from_in(source),
        space=space,
        validate_every=whole_in(source, "validate_every", 0) or None,
        budget=budget,
        source=source,
    )


def _base(source: Source, settings: Mapping[str, object]) -> Run:
    if "base" not in source.data:
        raise source.error((), "base is missing: a preset, or a .yaml file")
    folder = Path(source.file).parent
    try:
        run = read_run(str(source.data["base"]), relative_to=folder)
    except SpecError as error:
        raise source.error(("base",), str(error)) from error
    own = _own_settings(source)
    if "dataset" in source.data:
        run = _changed(source, ("dataset",), run, source.data["dataset"], folder)
    for path, value in own.items():
        run = _changed(source, ("set", str(path)), run, value, folder)
    for path, value in settings.items():
        try:
            run = changed(run, path, value, relative_to=Path())
        except SpecError as error:
            raise SpecError(f"--set {path}: {error}") from error
    return run


def _changed(source: Source, where: tuple[str, ...], run: Run, value: object, folder: Path) -> Run:
    try:
        return changed(run, where[-1], value, relative_to=folder)
    except SpecError as error:
        raise source.error(where, str(error)) from error


def _check_space(source: Source, run: Run, space: Space) -> None:
    """Check that every path is a slot or an option; components and values are checked later."""
    for path, entry in space.items():
        slot = path.partition(".")[0]
        if slot in _FIXED:
            raise source.error(
                ("space", path), f"{slot} is no choice that a sweep can make; write it under set:"
            )
        values = (
            [{"name": name} for name in entry.options]
            if isinstance(entry, Components)
            else list(entry.ends)
        )
        for value in values:
            try:
                run.changed({path: value})
            except SpecError as error:
                raise source.error(("space", path), str(error)) from error


def _own_settings(source: Source) -> dict[str, object]:
    own = source.data.get("set", {})
    if not isinstance(own, Mapping):
        raise source.error(("set",), f"expected a mapping of slots to choices, got {own!r}")
    return {str(path): value for path, value in own.items()}
