"""The commands of a spec: run, plan, check, sweep."""

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from yolact_bench.spec.source import require_file

if TYPE_CHECKING:
    from runners.sweep.command import SweepRequest

log = logging.getLogger(__name__)


def run(
    spec: options.Spec,
    only: options.Only = None,
    settings: options.Set = None,
    seeds: options.Seeds = None,
    budget: options.Budget = "full",
    images_per_second: options.Rate = None,
    work_dir: options.WorkDir = options.WORK,
    data_root: options.DataRoot = None,
    device: options.Device = None,
    workers: options.Workers = None,
    rounds: options.Rounds = None,
    validate_every: options.ValidateEvery = None,
    max_store: options.MaxStore = 100.0,
    scoring: options.Scoring = "pycocotools",
    eval_batch: options.EvalBatch = 1,
    sizes: options.Sizes = False,
    compile_network: options.Compile = False,
    retry_failed: Annotated[
        bool, typer.Option(help="Another attempt at arms that failed before.")
    ] = False,
    latency_first: options.LatencyFirst = False,
    executor: options.ExecutorName = None,
    slots: options.Slots = None,
    devices: options.Devices = 1,
    address: options.Address = None,
    verbose: options.Verbose = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train what is missing, evaluate, time all arms together and write the report."""
    require_file(spec)
    log.info("loading torch")
    from runners.cli.run import RunRequest
    from runners.cli.run import run as run_spec
    from runners.cli.specs import SpecOptions
    from runners.cli.workplace import make_workplace
    from runners.executors import Placement
    from runners.planning.rates import UserRates

    chosen = SpecOptions(
        settings=settings or (), only=only or (), seeds=seeds, budget=budget, data_root=data_root
    )
    cluster = address if executor == "ray" else None
    run_spec(
        RunRequest(
            spec=spec,
            options=chosen,
            place=make_workplace(
                work_dir,
                device,
                workers=workers,
                validate_every=validate_every,
                max_store_gb=max_store,
                scoring=scoring,
                eval_batch=eval_batch,
                compile_training=compile_network,
                devices=devices,
            ),
            placement=Placement(executor=executor, slots=slots, devices=devices, address=cluster),
            device_chosen=device is not None,
            rates=UserRates(every=images_per_second),
            rounds=rounds,
            sizes=sizes,
            retry_failed=retry_failed,
            latency_first=latency_first,
            verbose=verbose,
            dry_run=dry_run,
            as_json=as_json,
        )
    )


def plan(
    specs: options.Specs,
    only: options.Only = None,
    settings: options.Set = None,
    seeds: options.Seeds = None,
    budget: options.Budget = "full",
    rates: options.Rates = None,
    evaluation_rate: options.EvaluationRate = None,
    rates_file: options.RatesFile = None,
    slots: options.Slots = None,
    devices: options.Devices = 1,
    efficiency: options.Efficiency = None,
    gpus: options.Gpus = None,
    price_per_hour: options.Price = None,
    work_dir: options.WorkDir = options.WORK,
    data_root: options.DataRoot = None,
    device: options.Device = None,
    max_store: options.MaxStore = 100.0,
    as_json: options.AsJson = False,
) -> None:
    """Print what `run` would do and cost; for several specs, what they share and how they scale."""
    for spec in specs:
        require_file(spec)
    from runners.cli.plan import PlanRequest
    from runners.cli.plan import plan as plan_specs
    from runners.cli.specs import SpecOptions
    from runners.cli.workplace import make_workplace
    from runners.planning.rates import parse_rates

    chosen = SpecOptions(
        settings=settings or (), only=only or (), seeds=seeds, budget=budget, data_root=data_root
    )
    plan_specs(
        PlanRequest(
            specs=specs,
            options=chosen,
            place=make_workplace(work_dir, device, max_store_gb=max_store),
            rates=parse_rates(rates or [], evaluation=evaluation_rate, file=rates_file),
            slots=1 if slots is None else slots,
            devices=devices,
            efficiency=efficiency,
            gpus=gpus,
            price_per_hour=price_per_hour,
            as_json=as_json,
        )
    )


def check(
    specs: options.Specs, budget: options.Budget = "full", data_root: options.DataRoot = None
) -> None:
    """Check ablations and sweeps without running them: names, options, networks, data."""
    for spec in specs:
        require_file(spec)
    log.info("loading torch")
    from runners.cli.check import CheckRequest
    from runners.cli.check import check as check_specs
    from runners.cli.specs import SpecOptions

    chosen = SpecOptions(budget=budget, data_root=data_root)
    for line in check_specs(CheckRequest(specs=specs, options=chosen)):
        typer.echo(line)


def sweep(
    spec: options.SweepFile,
    settings: options.Set = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of trials. Default: the number in the file.")
    ] = None,
    budget: options.Budget = "full",
    work_dir: options.WorkDir = options.WORK,
    data_root: options.DataRoot = None,
    device: options.Device = None,
    workers: options.Workers = None,
    rounds: options.Rounds = None,
    compile_network: options.Compile = False,
    executor: options.ExecutorName = None,
    slots: options.Slots = None,
    devices: options.Devices = 1,
    address: options.Address = None,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="OPTUNA_STORAGE",
            help="Database URL of the study, for several machines. Default: work/optuna.db.",
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            help="Number of seeds for another run of the best trial, or of the front, and the "
            "base. Default: no such run."
        ),
    ] = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Search a space of slots and options; the same command resumes an interrupted search."""
    from runners.system.torchrun import refuse_torchrun

    refuse_torchrun("sweep")
    require_file(spec)
    log.info("loading torch")
    from runners.cli.workplace import make_workplace
    from runners.executors import Placement
    from runners.sweep.command import SweepRequest

    cluster = address if executor == "ray" else None
    request = SweepRequest(
        spec=spec,
        settings=settings or [],
        trials=trials,
        budget=budget,
        storage=storage,
        confirm_seeds=confirm,
        place=make_workplace(
            work_dir, device, workers=workers, compile_training=compile_network, devices=devices
        ),
        placement=Placement(executor=executor, slots=slots, devices=devices, address=cluster),
        device_chosen=device is not None,
        data_root=data_root,
        rounds=rounds,
    )
    _run_sweep(request, dry_run=dry_run, as_json=as_json)


def _run_sweep(request: "SweepRequest", *, dry_run: bool, as_json: bool) -> None:
    from reports.pages.build import build
    from reports.sweeps.build import build_sweep
    from runners.cli.terminal import print_sweep
    from runners.sweep import command

    checked = command.check_request(request)
    lines = command.plan_lines(checked)
    if dry_run:
        typer.echo("\n".join(lines))
        return
    for line in lines:
        log.info(line)
    result = command.sweep(request, checked)
    work_dir = request.place.work_dir
    if result.confirm and request.confirm_seeds is not None:
        build(work_dir, result.confirm)
    report = build_sweep(work_dir, result.name)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        print_sweep(report.sweep)
    typer.echo(f"report: {report.folder / 'report.html'}", err=True)
