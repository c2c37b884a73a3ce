"""The command that searches: sweep."""

import json
from dataclasses import asdict
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
    ExecutorName,
    Rounds,
    Set,
    Slots,
    SweepFile,
    WorkDir,
    Workers,
)


def sweep(
    spec: SweepFile,
    settings: Set = None,
    trials: Annotated[int | None, typer.Option(help="instead of the file's number")] = None,
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
            help="database URL of the study, which several machines may share; default: "
            "work/optuna.db",
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(help="then run the best, or the front, and the base with so many seeds"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="check the space, say what would run, stop")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search a space of slots and options; the same command again goes on where it stopped."""
    from runners.system.torchrun import refuse_torchrun

    refuse_torchrun("sweep")
    from runners.cli import commands
    from runners.executors import Placement
    from runners.sweep import command as asking

    place = commands.workplace(
        work_dir, device, workers, None, compile_training=compile_network, devices=devices
    )
    request = asking.Request(
        spec=spec,
        settings=settings or [],
        trials=trials,
        budget=budget,
        storage=storage,
        confirm_seeds=confirm,
        place=place,
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
    found = asking.checked(request)
    lines = asking.plan_lines(found)
    if dry_run:
        for line in lines:
            typer.echo(line)
        return
    for line in lines:
        asking.log.info(line)
    ended = asking.sweep(request, found)
    from reports.pages.build import build
    from reports.sweeps.build import build_sweep

    if ended.confirm and confirm is not None:
        build(work_dir, ended.confirm)
    report = build_sweep(work_dir, ended.name)
    typer.echo(json.dumps(asdict(ended)) if as_json else report.table)
    typer.echo(f"report: {report.folder / 'report.html'}", err=True)
