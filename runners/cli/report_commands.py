"""The commands that read results: report, list, compare and export-results."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from runners.system.output import echo


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
        echo(message, err=True)
    if check:
        differences = (
            ablations.check_report(work_dir, name)
            if swept is None
            else sweeps.check_sweep(work_dir, swept)
        )
        for difference in differences:
            echo(difference)
        raise typer.Exit(1 if differences else 0)
    from reports.pages.terminal import render
    from runners.cli.terminal import print_fitted

    if swept is not None:
        _, sweep = sweeps.build_sweep(work_dir, swept)
        print_fitted(partial(sweeps.render_sweep, sweep))
        return
    print_fitted(partial(render, ablations.build(work_dir, name).summary, notes=verbose))


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
        echo(line)


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
        echo(json.dumps({**asdict(comparison), "differs": comparison.differs}))
    else:
        for line in comparing.lines(comparison):
            echo(line)
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
        echo(str(path))
