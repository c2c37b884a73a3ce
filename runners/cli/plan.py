"""What `yolact-bench plan` does: of one ablation, of a suite of several, or of a sweep."""

import json
from collections.abc import Sequence

from runners.cli.spec_commands import PlanCommand
from runners.cli.specs import load_spec, plan_spec
from runners.planning.choices import check_space_choices
from runners.planning.cost import estimate, scale_plan
from runners.planning.rates import Throughput
from runners.planning.suite import make_suite
from runners.planning.suite_cost import estimate_suite, scale_suite
from runners.planning.sweep import plan_sweep, scale_sweep
from runners.planning.text.ablation import plan_facts, plan_lines
from runners.planning.text.scaling import cost_lines, price_of, scaling_facts
from runners.planning.text.suite import suite_facts, suite_lines
from runners.planning.text.sweep import sweep_facts, sweep_lines
from runners.planning.user_rates import UserRates, parse_rates
from runners.system.environment import environment
from runners.system.output import echo
from runners.units.settings import parse_settings
from yolact_bench.errors import Faults, SpecError
from yolact_bench.option_values import read_number
from yolact_bench.ranges import Cluster
from yolact_bench.spec.ablation import Ablation
from yolact_bench.spec.sweep.sweep import is_sweep, load_sweep

GPUS, _MOST_GPUS = (8, 64, 512), 20

PlanText = tuple[list[str], dict[str, object]]  # a plan as lines, and as plain data


def plan(command: PlanCommand) -> None:
    """Print the plan of one spec, or of several together.

    Raises:
        SpecError: a mistake in a spec, or an option of another kind of plan.
    """
    sweeps = [spec for spec in command.specs if is_sweep(spec)]
    several = len(command.specs) > 1
    if sweeps and several:
        raise SpecError(f"{sweeps[0]}: a sweep has a plan of its own; give it as the only SPEC")
    rates = parse_rates(
        command.rates or [], evaluation=command.evaluation_rate, file=command.rates_file
    )
    suite = several or command.gpus is not None
    make = _plan_sweep if sweeps else _plan_suite if suite else _plan_ablation
    lines, facts = make(command, rates)
    echo(json.dumps(facts) if command.as_json else "\n".join(lines))


def _plan_ablation(command: PlanCommand, rates: UserRates) -> PlanText:
    numbers = _num_devices(command, [command.slots * command.devices])
    place, hourly = command.place, command.price_per_hour
    made = plan_spec(command.specs[0], command)
    cost = estimate(made, place, rates)
    scale = scale_plan(
        made,
        cost,
        numbers,
        devices=command.devices,
        efficiency=command.efficiency,
        timing=command.timing,
    )
    schedule = {"schedule": scaling_facts(scale), "price": price_of(scale, hourly)}
    lines = [*plan_lines(made, cost), *cost_lines(scale, per_hour=hourly)]
    return lines, {**plan_facts(made, cost), **schedule}


def _plan_suite(command: PlanCommand, rates: UserRates) -> PlanText:
    """All arms and seeds of all specs, shared across them, on each number of devices."""
    numbers, hourly = _num_devices(command, GPUS), command.price_per_hour
    if command.only or command.slots > 1:
        raise SpecError("--only and --slots apply to a single SPEC; here give --gpus 8,64,512")
    faults, ablations = Faults(), list[Ablation]()
    for spec in command.specs:
        with faults.part():
            ablations.append(load_spec(spec, command))
    faults.raise_any()
    suite = make_suite(
        ablations,
        place=command.place,
        data_root=command.data_root,
        timing=command.timing,
    )
    cost = estimate_suite(suite, _throughput(command, rates), command.place)
    schedules = [
        scale_suite(cost, numbers, devices=devices, efficiency=command.efficiency)
        for devices in dict.fromkeys((1, command.devices))
    ]
    lines = suite_lines(cost, schedules, price=hourly)
    return lines, suite_facts(cost, schedules, price=hourly)


def _plan_sweep(command: PlanCommand, rates: UserRates) -> PlanText:
    """Bounds on what the sampler may choose."""
    numbers = _num_devices(command, [command.slots * command.devices])
    if command.only or command.seeds:
        raise SpecError(
            "--only and --seeds apply to an ablation, a sweep has trials; leave them out"
        )
    settings, hourly = parse_settings(command.settings or ()), command.price_per_hour
    spec = load_sweep(
        command.specs[0], settings=settings, budget=command.budget, check=check_space_choices
    )
    throughput = _throughput(command, rates)
    bounds = plan_sweep(
        spec, throughput, command.place, data_root=command.data_root, timing=command.timing
    )
    scale = scale_sweep(bounds, numbers, devices=command.devices, efficiency=command.efficiency)
    lines = sweep_lines(bounds, scale, price=hourly)
    return lines, sweep_facts(bounds, scale, price=hourly)


def _throughput(command: PlanCommand, rates: UserRates) -> Throughput:
    """Return what is known of the device that the plan is for."""
    device = environment(command.place.device).device
    return Throughput(command.place, rates, device=device)


def _num_devices(command: PlanCommand, default: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of devices at which to simulate."""
    if command.gpus is None:
        return tuple(default)
    words = command.gpus.split(",")
    if len(words) > _MOST_GPUS:
        raise SpecError(f"--gpus: {len(words)} numbers; write at most {_MOST_GPUS}, as 8,64,512")
    return tuple(read_number(Cluster, word.strip(), where="--gpus 8,64,…: ") for word in words)
