"""`yolact-bench track …`: bring MLflow up to date."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from runners.cli.options import WORK, AsJson, WorkDir

app = typer.Typer(help="Bring MLflow up to date.", no_args_is_help=True)


@app.callback()
def track() -> None:
    """Bring MLflow up to date."""


@app.command("backfill")
def backfill(
    name: Annotated[
        str | None, typer.Argument(help="of an ablation that has been run; default: all")
    ] = None,
    work_dir: WorkDir = WORK,
    as_json: AsJson = False,
) -> None:
    """Tell MLflow what it missed; what it has already is left alone."""
    from runners.tracking.backfill import backfill as tell

    done = tell(work_dir, name)
    if as_json:
        typer.echo(json.dumps({"executions": [asdict(execution) for execution in done]}))
        return
    for execution in done:
        added = f"{execution.runs} runs and {execution.points} points added"
        if execution.running:
            added = "still running: it tells MLflow itself"
        elif not execution.runs and not execution.points:
            added = "nothing was missing"
        typer.echo(f"{execution.ablation} {execution.execution}: {added}")
