"""What `plan` does: of one spec what `run` would, of several a suite, of a sweep its bounds."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from runners.cli import commands
from runners.planning.rates import GivenRates, Throughput
from runners.planning.simulation import study_scaling
from runners.planning.suite import Suite, make_suite
from runners.planning.suite_cost import estimate_suite, suite_tasks
from runners.planning.sweep import plan_sweep, scale_sweep
from runners.planning.text.suite import suite_facts, suite_lines
from runners.planning.text.sweep import sweep_facts, sweep_lines
from runners.system.environment import environment
from runners.units.settings import parse_settings
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import load
from yolact_bench.spec.sweep.sweep import is_sweep, load_sweep

GPUS = (8, 64, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """At which scale a plan is asked for, and what that costs an hour."""

    slots: int = 1  # trainings side by side
    devices: int = 1  # of each training
    efficiency: float | None = None  # share of the ideal speed-up; None: not known
    gpus: str | None = None  # of a suite: numbers with commas
    price_per_hour: float | None = None

    def numbers(self, default: Sequence[int]) -> tuple[int, ...]:
        """Return the numbers of devices at which to simulate.

        Raises:
            SpecError: what are no numbers above 0.
        """
        if min(self.slots, self.devices) < 1:
            raise SpecError("--slots and --devices: expected numbers above 0")
        if self.gpus is None:
            return tuple(default)
        words = self.gpus.split(",")
        if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            raise SpecError(f"--gpus {self.gpus}: expected numbers such as 8,64,512")
        return tuple(int(word) for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every kind of plan is made from."""

    specs: Sequence[Path]
    settings: Sequence[str]
    only: Sequence[str]
    seeds: int | None
    budget: str
    given: GivenRates
    scale: Scale
    place: Workplace
    data_root: Path | None
    as_json: bool

    def rates(self, store: Store) -> Throughput:
        """Return what is known of the device that the plan is for."""
        device = environment(self.place.device).device
        return Throughput(store, self.place.work_dir, device=device, given=self.given)


def plan_command(asked: Asked, *, check_paper: commands.CheckPaper) -> None:
    """Print the plan of one spec, or of several together.

    Raises:
        SpecError: a mistake in a spec, or options of one kind of plan given for another.
    """
    sweeps = [spec for spec in asked.specs if is_sweep(spec)]
    several = len(asked.specs) > 1
    if sweeps and several:
        raise SpecError(f"{sweeps[0]}: a sweep is planned by itself, not in a suite")
    scale = asked.scale
    if sweeps:
        _of_sweep(asked, scale.numbers([scale.slots * scale.devices]))
    elif several or scale.gpus is not None:
        _of_suite(asked, scale.numbers(GPUS))
    else:
        scale.numbers(())  # checks them
        _of_ablation(asked, check_paper)


def _of_ablation(asked: Asked, check_paper: commands.CheckPaper) -> None:
    commands.plan(
        asked.specs[0],
        only=asked.only,
        settings=asked.settings,
        seeds=asked.seeds,
        budget=asked.budget,
        given=asked.given,
        slots=asked.scale.slots,
        devices=asked.scale.devices,
        efficiency=asked.scale.efficiency,
        price_per_hour=asked.scale.price_per_hour,
        place=asked.place,
        data_root=asked.data_root,
        check_paper=check_paper,
        as_json=asked.as_json,
    )


def _of_suite(asked: Asked, numbers: Sequence[int]) -> None:
    """All arms and seeds of all specs, shared across them, on each number of devices."""
    if asked.only or asked.scale.slots > 1:
        raise SpecError("--only and --slots are of one SPEC's plan; give --gpus 8,64,512 here")
    store, changes = asked.place.store, parse_settings(asked.settings)
    ablations = [
        load(spec, settings=changes, seeds=asked.seeds, budget=asked.budget) for spec in asked.specs
    ]
    suite = make_suite(ablations, place=asked.place, store=store, data_root=asked.data_root)
    cost = estimate_suite(suite, asked.rates(store), asked.place)
    schedules = [
        study_scaling(
            lambda devices, share: suite_tasks(cost, devices=devices, efficiency=share),
            numbers,
            devices=devices,
            efficiency=asked.scale.efficiency,
            titles=_titles(suite),
        )
        for devices in dict.fromkeys((1, asked.scale.devices))
    ]
    hourly = asked.scale.price_per_hour
    _show(
        asked,
        lambda: suite_lines(cost, schedules, price=hourly),
        lambda: suite_facts(cost, schedules, price=hourly),
    )


def _of_sweep(asked: Asked, numbers: Sequence[int]) -> None:
    """Bounds of what its sampler may ask for."""
    if asked.only or asked.seeds:
        raise SpecError("--only and --seeds are of an ablation; a sweep has trials")
    spec = load_sweep(asked.specs[0], settings=parse_settings(asked.settings), budget=asked.budget)
    plan = plan_sweep(spec, asked.rates(asked.place.store), asked.place, data_root=asked.data_root)
    scale = scale_sweep(
        plan, numbers, devices=asked.scale.devices, efficiency=asked.scale.efficiency
    )
    hourly = asked.scale.price_per_hour
    _show(
        asked,
        lambda: sweep_lines(plan, scale, price=hourly),
        lambda: sweep_facts(plan, scale, price=hourly),
    )


def _show(
    asked: Asked,
    lines: Callable[[], Sequence[str]],
    facts: Callable[[], Mapping[str, object]],
) -> None:
    if asked.as_json:
        typer.echo(json.dumps(facts()))
        return
    for line in lines():
        typer.echo(line)


def _titles(suite: Suite) -> dict[str, str]:
    """Return what to call each training: the first unit that needs it."""
    titles: dict[str, str] = {}
    for unit in suite.units:
        titles.setdefault(unit.run.train_digest, f"{unit.ablation}/{unit.title}")
    return titles
