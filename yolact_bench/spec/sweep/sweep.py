"""From a sweep's YAML to its base, space and objectives. No torch, no Optuna.

One file: what a sweep is, and how its parts are read and checked together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from yolact_bench.errors import Faults, SpecError
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
        return vary(self.source, self.run, changes)

    def spelt_out(self, changes: Mapping[str, object]) -> dict[str, object]:
        """Return the changes with the options that their components keep of the base."""
        return {
            path: _spelt_out(self.changed({path: value}), path, value)
            for path, value in changes.items()
        }


def vary(source: Source, base: Run, changes: Mapping[str, object]) -> Run:
    """Return the run of a trial; components that it swaps keep the options of the base.

    Raises:
        SpecError: an unknown slot, option or data set, or an option that cannot be kept.
    """
    run = base
    for path, value in slots_first(changes):
        run = change(run, path, value, relative_to=source.folder, keep_of=(base,))
    return run


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
    check: Callable[[Source, Run, Space], None] | None = None,
) -> SweepSpec:
    """Return the sweep written in `path`.

    `settings` (slot or slot.option → value) change the base, after the file's own `set`; `trials`
    replaces the file's number. A `budget` shortens every training. If something is wrong, `check`
    adds what else is wrong with the base and the space around it.

    Raises:
        SpecError: all that is wrong, with file, line and key; and the nearest valid name for a
            misspelling.
    """
    find_budget(budget)
    faults = Faults()
    source = read_spec(path, faults, schema=SWEEP_SCHEMA, keys=_KEYS, required=("base", "space"))
    settings = settings or {}
    run = apply_settings(base_run(source, faults), settings, faults)
    words = faults.read_each(_readers(source, budget))
    _read_search(source, words, faults)
    space = words["space"] = read_space(source, faults)
    with faults.part():
        _check_space(source, run, space)
    if faults and check is not None:
        with faults.part():
            check(source, run, space)
    faults.raise_any()
    settings = {path: _spelt_out(run, path, value) for path, value in settings.items()}
    run = apply_budget(run, budget, sides=smoke_sides([run.image_size]))
    return SweepSpec(
        **words | ({} if trials is None else {"trials": trials}),
        question=source.question,
        settings=overlay(source.mapping(("set",)), settings),
        run=run,
        dataset=dataset_name(run),
        budget=budget,
        source=source,
    )


def _readers(source: Source, budget: str) -> dict[str, Callable[[], object]]:
    """Return what reads the words of a sweep that do not depend on one another."""
    mode = source.data.get("mode", "single")
    return {
        "name": partial(source.name, name_ending(budget), suffix=CONFIRMATION),
        "base": partial(source.name_at, "base", ""),
        "mode": partial(source.word, ("mode",), mode, MODES),
        "latency": partial(read_latency, source),
        "trials": partial(source.top, "trials", Trials, 50),
        "seed_from": partial(source.labels, "seed_from"),
        "validate_every": lambda: source.top("validate_every", CountOrZero, 0) or None,
    }


def _read_search(source: Source, words: dict[str, Any], faults: Faults) -> None:
    """Add objectives, sampler and pruner to the words; those that need a wrong one are left out."""
    mode = words.get("mode")
    with faults.part():
        words["sampler"], words["sampler_seed"] = read_sampler(source)
    with faults.part():
        words["objectives"] = read_objectives(source, mode)
    fit = mode if "objectives" in words else None
    with faults.part():
        objectives = words.get("objectives", ())
        words["pruner"], words["pruner_options"] = read_pruner(source, fit, objectives)
    limit = words["latency"].budget_ms if "latency" in words else 0.0
    if mode is not None and MODES[mode].has_budget and limit is None:
        message = "budget needs a limit; write latency: {budget_ms: 30}"
        faults.add(source.error(("mode",), message))


def _check_space(source: Source, run: Run, space: Space) -> None:
    """Check that every path is a slot or an option; components and values are checked later."""
    faults = Faults()
    for path, entry in space.items():
        slot = path.partition(".")[0]
        if slot in ("dataset", "seed", "evaluation"):  # trials are comparable on the same terms
            message = f"{slot} cannot vary; write it under set:"
            faults.add(source.error(("space", path), message))
            continue
        values = (
            [{"name": name} for name in entry.options]
            if isinstance(entry, Components)
            else entry.ends
        )
        for value in values:
            try:
                run.changed({path: value})
            except SpecError as error:
                faults.add(source.at(("space", path), error))
    faults.raise_any()
