"""The command that writes results as tables for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from runners.cli.options import WORK, WorkDir


def export_results(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of an ablation in the work directory. Default: all records."),
    ] = None,
    work_dir: WorkDir = WORK,
    file_format: Annotated[
        str, typer.Option("--format", help="File format: csv or parquet.")
    ] = "csv",
    output: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("results"),
) -> None:
    """Write accuracies, times, errors and differences as CSV or Parquet tables."""
    from yolact_bench.results.frames import Results, export

    for path in export(Results(work_dir, name), output, file_format=file_format):
        typer.echo(str(path))
