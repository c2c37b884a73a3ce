"""What `plan` does: with one spec, what `run` would; with several, one programme."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from runners import commands
from runners.arm import Workplace
from runners.environment import environment
from runners.given_rates import GivenRates, given_rates
from runners.programme import Programme, make_programme
from runners.programme_cost import price, tasks_of
from runners.programme_table import programme_facts, programme_lines
from runners.scaled import scaled
from runners.settings import parse_settings
from runners.throughput import Throughput
from yolact_bench.errors import SpecError
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import load

GPUS = (8, 64, 512)


def plan_command(
    specs: Sequence[Path],
    *,
    only: Sequence[str],
    settings: Sequence[str],
    seeds: int | None,
    budget: str,
    rates: Sequence[str],
    evaluation_rate: float | None,
    rates_file: Path | None,
    slots: int,
    devices: int,
    efficiency: float | None,
    gpus: str | None,
    price_per_hour: float | None,
    work: tuple[Path, str | None, float],
    data_root: Path | None,
    check_paper: commands.CheckPaper,
    as_json: bool,
) -> None:
    """Print the plan of one spec, or of several together.

    Raises:
        SpecError: a mistake in a spec, or options of one kind of plan given for the other.
    """
    work_dir, device, max_store = work
    place = commands.workplace(work_dir, device, None, None, max_store)
    given = given_rates(rates, evaluation=evaluation_rate, file=rates_file)
    if len(specs) > 1 or gpus is not None:
        if only or slots > 1:
            raise SpecError("--only and --slots are of one SPEC's plan; give --gpus 8,64,512 here")
        plan_programme(
            specs,
            settings=settings,
            seeds=seeds,
            budget=budget,
            given=given,
            gpus=GPUS if gpus is None else _numbers(gpus),
            devices=devices,
            efficiency=efficiency,
            price_per_hour=price_per_hour,
            place=place,
            data_root=data_root,
            as_json=as_json,
        )
        return
    commands.plan(
        specs[0],
        only=only,
        settings=settings,
        seeds=seeds,
        budget=budget,
        given=given,
        slots=slots,
        devices=devices,
        efficiency=efficiency,
        place=place,
        data_root=data_root,
        check_paper=check_paper,
        as_json=as_json,
    )


def plan_programme(
    specs: Sequence[Path],
    *,
    settings: Sequence[str],
    seeds: int | None,
    budget: str,
    given: GivenRates,
    gpus: Sequence[int],
    devices: int,
    efficiency: float | None,
    price_per_hour: float | None,
    place: Workplace,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Print what all specs need together, what they share, and how long that takes."""
    store = Store(place.work_dir / "results.jsonl")
    changes = parse_settings(settings)
    ablations = [load(spec, settings=changes, seeds=seeds, budget=budget) for spec in specs]
    programme = make_programme(ablations, place=place, store=store, data_root=data_root)
    device = environment(place.device).device
    rates = Throughput(store, place.work_dir, device=device, given=given)
    priced = price(programme, rates, place)
    schedules = [
        scaled(
            lambda number, reached: tasks_of(priced, devices=number, efficiency=reached),
            gpus,
            devices=number,
            efficiency=efficiency,
            titles=_titles(programme),
        )
        for number in dict.fromkeys((1, devices))
    ]
    if as_json:
        typer.echo(json.dumps(programme_facts(priced, schedules, price=price_per_hour)))
        return
    for line in programme_lines(priced, schedules, price=price_per_hour):
        typer.echo(line)


def _titles(programme: Programme) -> dict[str, str]:
    """Return what to call each training: the first unit that needs it."""
    titles: dict[str, str] = {}
    for unit in programme.units:
        titles.setdefault(unit.run.train_digest, f"{unit.ablation}/{unit.title}")
    return titles


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise SpecError(f"--gpus {text}: expected numbers such as 8,64,512") from error
    if min(numbers) < 1:
        raise SpecError(f"--gpus {text}: expected numbers above 0")
    return numbers
