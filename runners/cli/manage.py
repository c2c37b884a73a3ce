"""The commands that look after work directories: list, compare, gc."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runners.cli.options import WORK, AsJson, WorkDir


def list_(
    what: Annotated[str, typer.Argument(help="components, presets, ablations, runs or sweeps")],
    slot: Annotated[str | None, typer.Argument(help="with components: one slot")] = None,
    work_dir: WorkDir = WORK,
    folder: Annotated[Path, typer.Option(help="of the specs")] = Path("ablations"),
    as_json: AsJson = False,
) -> None:
    """List what can be chosen, and what has been run."""
    from runners.cli import listing

    lines = listing.lines(what, slot=slot, work_dir=work_dir, folder=folder, as_json=as_json)
    for line in lines:
        typer.echo(line)


def compare(
    a: Annotated[str, typer.Argument(help="a work directory, a report's folder, or its name")],
    b: Annotated[str, typer.Argument(help="what to compare it with, of the same kind")],
    name: Annotated[
        str | None, typer.Option(help="with work directories: this ablation alone")
    ] = None,
    work_dir: WorkDir = WORK,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="1 if arms, settings, numbers or failures differ"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two work directories or two reports."""
    from reports.compare import compare as comparing

    found = comparing.compare(a, b, name=name, work_dir=work_dir)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "differs": found.differs}))
    else:
        for line in comparing.lines(found):
            typer.echo(line)
    if exit_code and found.differs:
        raise typer.Exit(1)


def gc(
    work_dir: WorkDir = WORK,
    delete: Annotated[bool, typer.Option("--delete", help="do it; default: only say")] = False,
    superseded: Annotated[
        bool,
        typer.Option(help="also what only records outside every present manifest refer to"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find what no record and no manifest needs; with --delete remove it."""
    from runners.workdir import gc as collecting
    from runners.workdir.lock import hold_lock

    collecting.check(work_dir)
    if delete:
        with hold_lock(work_dir, command="yolact-bench gc --delete"):
            found = collecting.find(work_dir, superseded=superseded)
            collecting.remove(found)
    else:
        found = collecting.find(work_dir, superseded=superseded)
    if as_json:
        typer.echo(json.dumps(collecting.facts(found, deleted=delete)))
        return
    for line in collecting.lines(found, deleted=delete):
        typer.echo(line)
