"""The command line. Every command imports what it needs when it is called: --help stays fast."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import arm as single_commands
from runners.cli import data as data_commands
from runners.cli import manage as manage_commands
from runners.cli import profile as profile_command
from runners.cli import sweep as sweep_commands
from runners.cli import track as track_commands
from runners.cli import weights as import_command
from runners.cli.options import (
    WORK,
    Address,
    AsJson,
    Budget,
    Compile,
    DataRoot,
    Device,
    Devices,
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
    ValidateEvery,
    WorkDir,
    Workers,
)
from runners.system.exit_codes import INTERRUPTED, exit_code_of
from runners.system.interrupt import terminable
from runners.system.torchrun import is_first_process

if TYPE_CHECKING:
    from reports.pages.build import Report

app = typer.Typer(
    name="yolact-bench",
    help="What does changing one part of YOLACT++ do to accuracy, speed, memory and cost?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_commands.app, name="data")
app.add_typer(track_commands.app, name="track")


@app.callback()
def start(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="warnings only")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads that torch uses")] = None,
) -> None:
    """Set up logging, for every command."""
    logging.basicConfig(
        level=logging.ERROR
        if not is_first_process()
        else logging.WARNING
        if quiet
        else logging.INFO,
        format="%(asctime)s  %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)


@app.command()
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
    retry_failed: Annotated[bool, typer.Option(help="try failed arms again")] = False,
    latency_first: LatencyFirst = False,
    executor: ExecutorName = None,
    slots: Slots = None,
    devices: Devices = 1,
    address: Address = None,
    dry_run: Annotated[bool, typer.Option(help="print the plan and stop")] = False,
    as_json: AsJson = False,
) -> None:
    """Train what must be trained, evaluate, time all arms together, write the report."""
    from runners.cli import commands
    from runners.executors import Placement

    commands.run(
        spec,
        only=only or [],
        settings=settings or [],
        seeds=seeds,
        budget=budget,
        images_per_second=images_per_second,
        place=commands.workplace(
            work_dir,
            device,
            workers,
            validate_every,
            max_store,
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
        data_root=data_root,
        rounds=rounds,
        sizes=sizes,
        retry_failed=retry_failed,
        latency_first=latency_first,
        dry_run=dry_run,
        as_json=as_json,
        write_report=_write_report,
        check_paper=_check_paper,
    )


@app.command()
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
    """Say what `run` would do and cost; of several specs, what they share and how they scale."""
    from runners.cli.commands import workplace
    from runners.cli.plan import Asked, Scale, plan_command
    from runners.planning.rates import given_rates

    asked = Asked(
        specs=specs,
        only=only or [],
        settings=settings or [],
        seeds=seeds,
        budget=budget,
        given=given_rates(rates or [], evaluation=evaluation_rate, file=rates_file),
        scale=Scale(
            slots=1 if slots is None else slots,
            devices=devices,
            efficiency=efficiency,
            gpus=gpus,
            price_per_hour=price_per_hour,
        ),
        place=workplace(work_dir, device, None, None, max_store),
        data_root=data_root,
        as_json=as_json,
    )
    plan_command(asked, check_paper=_check_paper)


@app.command()
def check(specs: Specs, budget: Budget = "full", data_root: DataRoot = None) -> None:
    """Check ablations and sweeps without running them: names, options, networks, data."""
    from runners.cli import commands
    from runners.sweep.command import check_file
    from yolact_bench.spec.sweep.sweep import is_sweep

    for spec in specs:
        if is_sweep(spec):
            typer.echo(check_file(spec, budget=budget, data_root=data_root))
        else:
            commands.check([spec], budget=budget, data_root=data_root, check_paper=_check_paper)


app.command()(single_commands.train)
app.command()(single_commands.evaluate)
app.command()(single_commands.latency)
app.command("profile")(profile_command.profile)
app.command()(sweep_commands.sweep)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="of an ablation or sweep that has been run")],
    work_dir: WorkDir = WORK,
    check: Annotated[bool, typer.Option("--check", help="compare only; write nothing")] = False,
) -> None:
    """Write tables, figures and the page of an ablation or a sweep again, from its records."""
    from reports.sweeps import build as sweeps

    swept = sweeps.sweep_called(work_dir, name)
    if swept is None and sweeps.hides_a_sweep(work_dir, name):
        message = f"{name}: of the ablation; for the sweep of that name: report sweeps/{name}"
        typer.echo(message, err=True)
    if check:
        from reports.pages.build import check_report

        differences = (
            check_report(work_dir, name) if swept is None else sweeps.check_sweep(work_dir, swept)
        )
        for difference in differences:
            typer.echo(difference)
        raise typer.Exit(1 if differences else 0)
    if swept is not None:
        typer.echo(sweeps.build_sweep(work_dir, swept).markdown)
    else:
        typer.echo(_write_report(work_dir, name).markdown)


app.command()(single_commands.predict)
app.command("import-weights")(import_command.import_weights)
app.command("list")(manage_commands.list_)
app.command("compare")(manage_commands.compare)
app.command("gc")(manage_commands.gc)


@app.command()
def doctor(work_dir: WorkDir = WORK, data_root: DataRoot = None) -> None:
    """Check this machine: packages, device, disk, data; say what to do about each finding."""
    from runners.cli import commands

    commands.doctor(work_dir, data_root)


def _write_report(work_dir: Path, name: str) -> "Report":
    """Reports know nothing of runs, nor runs of reports: only this file knows both."""
    from reports.pages.build import build

    return build(work_dir, name)


def _check_paper(key: str, rows: Sequence[str]) -> None:
    from reports.pages.build import check_paper

    check_paper(key, rows)


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2."""
    try:
        with terminable():
            code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = exit_code_of(error)
    if code == INTERRUPTED and is_first_process():
        typer.echo("interrupted; the same command goes on from here", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
