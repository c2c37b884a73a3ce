"""The commands of work directories, data sets and machines: report, list, gc, doctor, …."""

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options

data = typer.Typer(help="Write or check data sets.", no_args_is_help=True)
track = typer.Typer(help="Bring MLflow up to date.", no_args_is_help=True)


def report(
    name: Annotated[
        str, typer.Argument(help="Name of an ablation or a sweep in the work directory.")
    ],
    work_dir: options.WorkDir = options.WORK,
    check: Annotated[
        bool, typer.Option("--check", help="Comparison with the files alone; writes nothing.")
    ] = False,
    verbose: options.Verbose = False,
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
    from runners.cli.terminal import print_summary, print_sweep

    if swept is not None:
        print_sweep(sweeps.build_sweep(work_dir, swept).sweep)
        return
    print_summary(ablations.build(work_dir, name).summary, notes=verbose)


def list_(
    what: Annotated[str, typer.Argument(help="Components, presets, ablations, runs or sweeps.")],
    slot: Annotated[
        str | None, typer.Argument(help="Name of a slot whose components are listed alone.")
    ] = None,
    work_dir: options.WorkDir = options.WORK,
    folder: Annotated[Path, typer.Option(help="Folder of the ablations.")] = Path("ablations"),
    as_json: options.AsJson = False,
) -> None:
    """List what can be chosen, and what has been run."""
    from runners.cli import listing

    lines = listing.lines(what, slot=slot, work_dir=work_dir, folder=folder, as_json=as_json)
    for line in lines:
        typer.echo(line)


def compare(
    a: Annotated[
        str, typer.Argument(help="Work directory, or folder or name of a report, to start from.")
    ],
    b: Annotated[str, typer.Argument(help="Work directory or report of the same kind.")],
    name: Annotated[
        str | None,
        typer.Option(help="Ablation to compare alone, in work directories. Default: all."),
    ] = None,
    work_dir: options.WorkDir = options.WORK,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code", help="Exit code 1 if arms, settings, numbers or failures differ."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Print what changed between two work directories or two reports."""
    from reports.compare import compare as comparing

    comparison = comparing.compare(a, b, name=name, work_dir=work_dir)
    if as_json:
        typer.echo(json.dumps({**asdict(comparison), "differs": comparison.differs}))
    else:
        for line in comparing.lines(comparison):
            typer.echo(line)
    if exit_code and comparison.differs:
        raise typer.Exit(1)


def export_results(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of an ablation in the work directory. Default: all records."),
    ] = None,
    work_dir: options.WorkDir = options.WORK,
    file_format: Annotated[
        str, typer.Option("--format", help="File format: csv or parquet.")
    ] = "csv",
    output: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("results"),
) -> None:
    """Write accuracies, times, errors and differences as CSV or Parquet tables."""
    from yolact_bench.results.frames import Results, export

    for path in export(Results(work_dir, name), output, file_format=file_format):
        typer.echo(str(path))


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
        typer.echo(json.dumps(collecting.facts(garbage, deleted=delete)))
        return
    for line in collecting.lines(garbage, deleted=delete):
        typer.echo(line)


def doctor(work_dir: options.WorkDir = options.WORK, data_root: options.DataRoot = None) -> None:
    """Check this machine: packages, device, disk, data; with a remedy for each finding."""
    from runners.cli.doctor import diagnose

    checks = diagnose(work_dir, data_root)
    for check in checks:
        typer.echo(
            f"{'FAIL' if check.state == 'fail' else check.state:<4}  {check.name}: {check.detail}"
        )
        if check.remedy:
            typer.echo(f"      → {check.remedy}")
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

    typer.echo(dataset_files.write_shapes(folder, parse_settings(settings or [])))


@data.command("check")
def check_data(
    dataset: Annotated[
        str, typer.Argument(help="Data set: coco, sbd, shapes, or the path of a dataset.yaml.")
    ],
    strict: Annotated[bool, typer.Option(help="Exit code 2 on any degenerate annotation.")] = False,
    data_root: options.DataRoot = None,
) -> None:
    """Read a data set as training would, and list every annotation it would leave out."""
    from runners.cli.inputs import check_data as check

    check(dataset, strict=strict, data_root=data_root)


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
        typer.echo(json.dumps({"executions": [asdict(execution) for execution in executions]}))
        return
    for execution in executions:
        added = f"{execution.runs} runs and {execution.points} points added"
        if execution.running:
            added = "still running, and writes to MLflow itself"
        elif not execution.runs and not execution.points:
            added = "nothing was missing"
        typer.echo(f"{execution.ablation} {execution.execution}: {added}")
