"""What `yolact-bench plan` does: of one ablation, of a suite of several, or of a sweep."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from runners.cli.specs import SpecOptions
from runners.planning.cost import estimate
from runners.planning.rates import Throughput, UserRates
from runners.planning.simulation import study_scaling
from runners.planning.suite import make_suite
from runners.planning.suite_cost import estimate_suite, suite_tasks
from runners.planning.sweep import plan_sweep, scale_sweep
from runners.planning.tasks import scale_plan
from runners.planning.text.ablation import plan_facts, plan_lines
from runners.planning.text.scaling import cost_lines, price_of, scaling_facts
from runners.planning.text.suite import suite_facts, suite_lines
from runners.planning.text.sweep import sweep_facts, sweep_lines
from runners.system.environment import environment
from runners.units.settings import parse_settings
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep.sweep import is_sweep, load_sweep

GPUS = (8, 64, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Specs to plan, and at which scale."""

    specs: Sequence[Path]
    options: SpecOptions
    place: Workplace
    rates: UserRates
    slots: int = 1  # trainings side by side
    devices: int = 1  # of each training
    efficiency: float | None = None  # share of the ideal speed-up; None: unknown
    gpus: str | None = None  # of a suite: numbers with commas
    price_per_hour: float | None = None  # of a device
    as_json: bool = False

    @property
    def throughput(self) -> Throughput:
        """What is known of the device that the plan is for."""
        device = environment(self.place.device).device
        return Throughput(self.place.store, self.place.work_dir, device=device, given=self.rates)

    def num_devices(self, default: Sequence[int]) -> tuple[int, ...]:
        """Return the numbers of devices at which to simulate.

        Raises:
            SpecError: --gpus, --slots or --devices that are not numbers above 0.
        """
        if min(self.slots, self.devices) < 1:
            raise SpecError("--slots and --devices: expected numbers above 0")
        if self.gpus is None:
            return tuple(default)
        words = self.gpus.split(",")
        if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            raise SpecError(f"--gpus {self.gpus}: expected numbers such as 8,64,512")
        return tuple(int(word) for word in words)


def plan(request: PlanRequest) -> None:
    """Print the plan of one spec, or of several together.

    Raises:
        SpecError: a mistake in a spec, or an option of another kind of plan.
    """
    sweeps = [spec for spec in request.specs if is_sweep(spec)]
    several = len(request.specs) > 1
    if sweeps and several:
        raise SpecError(f"{sweeps[0]}: a sweep has a plan of its own; give it as the only SPEC")
    if sweeps:
        _plan_sweep(request)
    elif several or request.gpus is not None:
        _plan_suite(request)
    else:
        _plan_ablation(request)


def _plan_ablation(request: PlanRequest) -> None:
    request.num_devices(())  # checks the options
    store = request.place.store
    made = request.options.plan(request.specs[0], request.place, store)
    cost = estimate(made, request.place, store, given=request.rates)
    scale = scale_plan(
        made, cost, slots=request.slots, devices=request.devices, efficiency=request.efficiency
    )
    hourly = request.price_per_hour
    _print(
        request,
        lambda: [*plan_lines(made, cost), *cost_lines(scale, per_hour=hourly)],
        lambda: {
            **plan_facts(made, cost),
            "schedule": scaling_facts(scale),
            "price": price_of(scale, hourly),
        },
    )


def _plan_suite(request: PlanRequest) -> None:
    """All arms and seeds of all specs, shared across them, on each number of devices."""
    numbers, options = request.num_devices(GPUS), request.options
    if options.only or request.slots > 1:
        raise SpecError("--only and --slots apply to a single SPEC; here give --gpus 8,64,512")
    suite = make_suite(
        [options.load(spec) for spec in request.specs],
        place=request.place,
        store=request.place.store,
        data_root=options.data_root,
    )
    cost = estimate_suite(suite, request.throughput, request.place)
    titles: dict[str, str] = {}  # of a training: the first unit that needs it
    for unit in suite.units:
        titles.setdefault(unit.run.train_digest, f"{unit.ablation}/{unit.title}")
    schedules = [
        study_scaling(
            lambda devices, share: suite_tasks(cost, devices=devices, efficiency=share),
            numbers,
            devices=devices,
            efficiency=request.efficiency,
            titles=titles,
        )
        for devices in dict.fromkeys((1, request.devices))
    ]
    hourly = request.price_per_hour
    _print(
        request,
        lambda: suite_lines(cost, schedules, price=hourly),
        lambda: suite_facts(cost, schedules, price=hourly),
    )


def _plan_sweep(request: PlanRequest) -> None:
    """Bounds on what the sampler may choose."""
    numbers = request.num_devices([request.slots * request.devices])
    options = request.options
    if options.only or options.seeds:
        raise SpecError("--only and --seeds apply to an ablation; a sweep has trials")
    settings = parse_settings(options.settings)
    spec = load_sweep(request.specs[0], settings=settings, budget=options.budget)
    bounds = plan_sweep(spec, request.throughput, request.place, data_root=options.data_root)
    scale = scale_sweep(bounds, numbers, devices=request.devices, efficiency=request.efficiency)
    hourly = request.price_per_hour
    _print(
        request,
        lambda: sweep_lines(bounds, scale, price=hourly),
        lambda: sweep_facts(bounds, scale, price=hourly),
    )


def _print(
    request: PlanRequest,
    lines: Callable[[], Sequence[str]],
    facts: Callable[[], Mapping[str, object]],
) -> None:
    typer.echo(json.dumps(facts()) if request.as_json else "\n".join(lines()))
