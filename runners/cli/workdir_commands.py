"""The commands of work directories, data sets and machines: gc, doctor, data and track."""

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from runners.system.output import echo

data = typer.Typer(help="Write or check data sets.", no_args_is_help=True)
track = typer.Typer(help="Bring MLflow up to date.", no_args_is_help=True)


def gc(
    work_dir: options.WorkDir = options.WORK,
    delete: Annotated[
        bool, typer.Option("--delete", help="Removal of the files; default: only the list.")
    ] = False,
    superseded: Annotated[
        bool,
        typer.Option(help="Also files of records that no manifest in the folder refers to."),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the files that no record and no manifest needs; with --delete remove them."""
    from runners.workdir import gc as collecting
    from runners.workdir.lock import hold_lock

    collecting.check(work_dir)
    with hold_lock(work_dir, command="yolact-bench gc --delete") if delete else nullcontext():
        garbage = collecting.find(work_dir, superseded=superseded)
        if delete:
            collecting.remove(garbage)
    if as_json:
        echo(json.dumps(collecting.facts(garbage, deleted=delete)))
        return
    for line in collecting.lines(garbage, deleted=delete):
        echo(line)


def doctor(work_dir: options.WorkDir = options.WORK, data_root: options.DataRoot = None) -> None:
    """Check this machine: packages, device, disk, data; with a remedy for each finding."""
    from runners.cli.doctor import diagnose

    checks = diagnose(work_dir, data_root)
    for check in checks:
        echo(f"{'FAIL' if check.state == 'fail' else check.state:<4}  {check.name}: {check.detail}")
        if check.remedy:
            echo(f"      → {check.remedy}")
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


@data.command("shapes")
def write_shapes(
    folder: Annotated[Path, typer.Argument(help="New or empty folder to write to.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE",
            help="Option of the data set: seed, train_images, val_images, …. Repeatable.",
        ),
    ] = None,
) -> None:
    """Write the embedded shapes as a folder in COCO's format."""
    from runners.units.settings import parse_settings
    from runners.workdir import dataset_files

    echo(str(dataset_files.write_shapes(folder, parse_settings(settings or []))))


@data.command("check")
def check_data(
    dataset: Annotated[str, typer.Argument(help=options.DATASET)],
    strict: options.Strict = None,
    images: Annotated[
        bool,
        typer.Option("--images", help="Also decode every image: some damage shows in no header."),
    ] = False,
    data_root: options.DataRoot = None,
    work_dir: options.WorkDir = options.WORK,
) -> None:
    """Read a data set as training would, and list everything that it mends or leaves out."""
    from runners.cli.inputs import check_data as check

    check(dataset, strict=strict, images=images, data_root=data_root, work_dir=work_dir)


@track.callback()
def start_tracking() -> None:
    """Bring MLflow up to date."""


@track.command("backfill")
def backfill(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of an ablation in the work directory. Default: all of them."),
    ] = None,
    work_dir: options.WorkDir = options.WORK,
    as_json: options.AsJson = False,
) -> None:
    """Send MLflow what it has missed, and leave alone what it has."""
    from runners.tracking.backfill import backfill as send

    executions = send(work_dir, name)
    if as_json:
        echo(json.dumps({"executions": [asdict(execution) for execution in executions]}))
        return
    for execution in executions:
        added = f"{execution.runs} runs and {execution.points} points added"
        if execution.running:
            added = "still running, and writes to MLflow itself"
        elif not execution.runs and not execution.points:
            added = "nothing was missing"
        echo(f"{execution.ablation} {execution.execution}: {added}")
