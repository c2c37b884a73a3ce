"""From a sweep's YAML to its base, space and objectives. No torch, no Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.ranges import CountOrZero, Trials
from yolact_bench.spec.base_run import apply_settings, base_run, change, dataset_name, slots_first
from yolact_bench.spec.budget import apply_budget, find_budget, smoke_sides
from yolact_bench.spec.budget_names import FULL, name_ending
from yolact_bench.spec.latency import LATENCY, LatencyPlan, read_latency
from yolact_bench.spec.options_to_keep import is_choice, overlay
from yolact_bench.spec.run import ARCHITECTURE, DETECTION, TRAINING, Run
from yolact_bench.spec.sweep.keys import (
    MODES,
    SAMPLERS,
    TIME_METRICS,
    Objective,
    read_objectives,
    read_pruner,
    read_sampler,
    read_space,
)
from yolact_bench.spec.sweep.space import Components, Space
from yolact_bench.work_names import CONFIRMATION
from yolact_bench.yaml_source import Source, read, read_spec

SWEEP_SCHEMA = 1
_KEYS = (
    *("schema", "name", "base", "set", "dataset", "mode", "objectives", LATENCY, "trials"),
    *("sampler", "pruner", "seed_from", "space", "validate_every"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A search: a base, a space around it, and objectives."""

    name: str  # with the budget, if not full
    question: str
    base: str
    settings: Mapping[str, object]  # the file's `set`, and those of the command line, spelt out
    run: Run  # the base, with the file's `set`; names and options not yet checked
    dataset: str
    mode: str
    objectives: tuple[Objective, ...]
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
        """Whether trials may need trainings; otherwise all share the base's."""
        return any(path.partition(".")[0] in ARCHITECTURE + TRAINING for path in self.space)

    @property
    def replays(self) -> bool:
        """Whether trials differ in detection alone: one forward pass serves all."""
        return all(path.partition(".")[0] in DETECTION for path in self.space)

    @property
    def timed(self) -> bool:
        return any(one.metric in TIME_METRICS for one in self.objectives)

    @property
    def needs_times(self) -> bool:
        """Whether times decide about trials: as objectives, or before each training."""
        return self.timed or self.budget_ms is not None

    @property
    def budget_ms(self) -> float | None:
        """What a trial may take at most if it is to be trained; None: it may take any time."""
        return self.latency.budget_ms if MODES[self.mode].has_budget else None

    @property
    def trial_timing(self) -> LatencyPlan:
        """How a trial is timed beside the base: in the first scenario, and briefly by default."""
        is_written = "max_s" in self.source.mapping((LATENCY,), or_none=True)
        max_s = self.latency.max_s if is_written else 20.0  # a sweep has many sessions
        return replace(self.latency, scenarios=self.latency.scenarios[:1], max_s=max_s)

    @property
    def tries_all(self) -> bool:
        """Whether every set of parameters is tried, instead of those that a sampler draws."""
        return SAMPLERS[self.sampler]

    def where(self, *path: str) -> str:
        return self.source.where(path)

    def changed(self, changes: Mapping[str, object]) -> Run:
        """Return the run of a trial; components that it swaps keep the options of the base.

        Raises:
            SpecError: an unknown slot, option or data set, or an option that cannot be kept.
        """
        run = self.run
        for path, value in slots_first(changes):
            run = change(run, path, value, relative_to=self.source.folder, keep_of=(self.run,))
        return run

    def spelt_out(self, changes: Mapping[str, object]) -> dict[str, object]:
        """Return the changes with the options that their components keep of the base."""
        return {
            path: _spelt_out(self.changed({path: value}), path, value)
            for path, value in changes.items()
        }


def _spelt_out(run: Run, path: str, value: object) -> object:
    choice = getattr(run, path) if is_choice(path) else value
    return value if choice == {"name": value} else choice


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
    source = read_spec(path, schema=SWEEP_SCHEMA, keys=_KEYS)
    settings = settings or {}
    run = apply_settings(base_run(source), settings)
    settings = {path: _spelt_out(run, path, value) for path, value in settings.items()}
    space = read_space(source)
    _check_space(source, run, space)
    find_budget(budget)
    run = apply_budget(run, budget, sides=smoke_sides([run.image_size]))
    mode = source.word(("mode",), source.data.get("mode", "single"), MODES)
    latency = read_latency(source)
    objectives = read_objectives(source, mode)
    if MODES[mode].has_budget and latency.budget_ms is None:
        raise source.error(("mode",), "budget needs a limit; write latency: {budget_ms: 30}")
    sampler, seed = read_sampler(source)
    pruner, options = read_pruner(source, mode, objectives)
    return SweepSpec(
        name=source.name(name_ending(budget), suffix=CONFIRMATION),
        question=source.question,
        base=source.name_at("base", ""),
        settings=overlay(source.mapping(("set",)), settings),
        run=run,
        dataset=dataset_name(run),
        mode=mode,
        objectives=objectives,
        latency=latency,
        trials=source.top("trials", Trials, 50) if trials is None else trials,
        sampler=sampler,
        sampler_seed=seed,
        pruner=pruner,
        pruner_options=options,
        seed_from=source.labels("seed_from"),
        space=space,
        validate_every=source.top("validate_every", CountOrZero, 0) or None,
        budget=budget,
        source=source,
    )


def _check_space(source: Source, run: Run, space: Space) -> None:
    """Check that every path is a slot or an option; components and values are checked later."""
    for path, entry in space.items():
        slot = path.partition(".")[0]
        if slot in ("dataset", "seed", "evaluation"):  # trials are comparable on the same terms
            raise source.error(("space", path), f"{slot} cannot vary; write it under set:")
        values = (
            [{"name": name} for name in entry.options]
            if isinstance(entry, Components)
            else entry.ends
        )
        for value in values:
            try:
                run.changed({path: value})
            except SpecError as error:
                raise source.error(("space", path), str(error)) from error
