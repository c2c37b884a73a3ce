"""The commands of a spec: run, plan, check, sweep, report."""

import logging
from typing import Annotated

import typer

from runners.cli.options import (
    WORK,
    Address,
    AsJson,
    Budget,
    Compile,
    DataRoot,
    Device,
    Devices,
    DryRun,
    Efficiency,
    EvalBatch,
    EvaluationRate,
    ExecutorName,
    Gpus,
    LatencyFirst,
    MaxStore,
    Only,
    Price,
    Rate,
    Rates,
    RatesFile,
    Rounds,
    Scoring,
    Seeds,
    Set,
    Sizes,
    Slots,
    Spec,
    Specs,
    SweepFile,
    ValidateEvery,
    Verbose,
    WorkDir,
    Workers,
)

log = logging.getLogger(__name__)


def run(
    spec: Spec,
    only: Only = None,
    settings: Set = None,
    seeds: Seeds = None,
    budget: Budget = "full",
    images_per_second: Rate = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    workers: Workers = None,
    rounds: Rounds = None,
    validate_every: ValidateEvery = None,
    max_store: MaxStore = 100.0,
    scoring: Scoring = "pycocotools",
    eval_batch: EvalBatch = 1,
    sizes: Sizes = False,
    compile_network: Compile = False,
    retry_failed: Annotated[
        bool, typer.Option(help="Another attempt at arms that failed before.")
    ] = False,
    latency_first: LatencyFirst = False,
    executor: ExecutorName = None,
    slots: Slots = None,
    devices: Devices = 1,
    address: Address = None,
    verbose: Verbose = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train what is missing, evaluate, time all arms together and write the report."""
    log.info("loading torch")
    from runners.cli.run import RunRequest
    from runners.cli.run import run as run_spec
    from runners.cli.specs import SpecOptions
    from runners.cli.workplace import make_workplace
    from runners.executors import Placement
    from runners.planning.rates import UserRates

    run_spec(
        RunRequest(
            spec=spec,
            options=SpecOptions(
                settings=settings or [],
                only=only or [],
                seeds=seeds,
                budget=budget,
                data_root=data_root,
            ),
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
            placement=Placement(
                executor=executor,
                slots=slots,
                devices=devices,
                address=address if executor == "ray" else None,
            ),
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
    specs: Specs,
    only: Only = None,
    settings: Set = None,
    seeds: Seeds = None,
    budget: Budget = "full",
    rates: Rates = None,
    evaluation_rate: EvaluationRate = None,
    rates_file: RatesFile = None,
    slots: Slots = None,
    devices: Devices = 1,
    efficiency: Efficiency = None,
    gpus: Gpus = None,
    price_per_hour: Price = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    max_store: MaxStore = 100.0,
    as_json: AsJson = False,
) -> None:
    """Print what `run` would do and cost; for several specs, what they share and how they scale."""
    from runners.cli.plan import PlanRequest
    from runners.cli.plan import plan as plan_specs
    from runners.cli.specs import SpecOptions
    from runners.cli.workplace import make_workplace
    from runners.planning.rates import parse_rates

    plan_specs(
        PlanRequest(
            specs=specs,
            options=SpecOptions(
                settings=settings or [],
                only=only or [],
                seeds=seeds,
                budget=budget,
                data_root=data_root,
            ),
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


def check(specs: Specs, budget: Budget = "full", data_root: DataRoot = None) -> None:
    """Check ablations and sweeps without running them: names, options, networks, data."""
    log.info("loading torch")
    from runners.cli.check import CheckRequest
    from runners.cli.check import check as check_specs
    from runners.cli.specs import SpecOptions

    options = SpecOptions(budget=budget, data_root=data_root)
    for line in check_specs(CheckRequest(specs=specs, options=options)):
        typer.echo(line)


def sweep(
    spec: SweepFile,
    settings: Set = None,
    trials: Annotated[
        int | None, typer.Option(help="Number of trials. Default: the number in the file.")
    ] = None,
    budget: Budget = "full",
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    workers: Workers = None,
    rounds: Rounds = None,
    compile_network: Compile = False,
    executor: ExecutorName = None,
    slots: Slots = None,
    devices: Devices = 1,
    address: Address = None,
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
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Search a space of slots and options; the same command resumes an interrupted search."""
    from runners.system.torchrun import refuse_torchrun

    refuse_torchrun("sweep")
    log.info("loading torch")
    from runners.cli import sweep as action
    from runners.cli.workplace import make_workplace
    from runners.executors import Placement
    from runners.sweep.command import SweepRequest

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
        placement=Placement(
            executor=executor,
            slots=slots,
            devices=devices,
            address=address if executor == "ray" else None,
        ),
        device_chosen=device is not None,
        data_root=data_root,
        rounds=rounds,
    )
    action.sweep(request, dry_run=dry_run, as_json=as_json)


def report(
    name: Annotated[
        str, typer.Argument(help="Name of an ablation or a sweep in the work directory.")
    ],
    work_dir: WorkDir = WORK,
    check: Annotated[
        bool, typer.Option("--check", help="Comparison with the files alone; writes nothing.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Write tables, figures and page of an ablation or a sweep again, from its records."""
    from reports.pages import build as ablations
    from reports.sweeps import build as sweeps

    swept = sweeps.sweep_called(work_dir, name)
    if swept is None and sweeps.hides_a_sweep(work_dir, name):
        message = f"{name}: this is the ablation; for the sweep write: report sweeps/{name}"
        typer.echo(message, err=True)
    if check:
        differences = (
            ablations.check_report(work_dir, name)
            if swept is None
            else sweeps.check_sweep(work_dir, swept)
        )
        for difference in differences:
            typer.echo(difference)
        raise typer.Exit(1 if differences else 0)
    if swept is not None:
        typer.echo(sweeps.build_sweep(work_dir, swept).table)
        return
    from runners.cli.terminal import print_summary

    print_summary(ablations.build(work_dir, name).summary, notes=verbose)
