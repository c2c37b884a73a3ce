"""What `yolact-bench sweep` does: check, search, report."""

import json
from dataclasses import asdict

import typer

from reports.pages.build import build
from reports.sweeps.build import build_sweep
from runners.sweep import command
from runners.sweep.command import SweepRequest


def sweep(request: SweepRequest, *, dry_run: bool, as_json: bool) -> None:
    """Carry out a sweep and write its report.

    Raises:
        SpecError: a mistake in the spec or the options.
    """
    checked = command.check_request(request)
    lines = command.plan_lines(checked)
    if dry_run:
        typer.echo("\n".join(lines))
        return
    for line in lines:
        command.log.info(line)
    result = command.sweep(request, checked)
    work_dir = request.place.work_dir
    if result.confirm and request.confirm_seeds is not None:
        build(work_dir, result.confirm)
    report = build_sweep(work_dir, result.name)
    typer.echo(json.dumps(asdict(result)) if as_json else report.table)
    typer.echo(f"report: {report.folder / 'report.html'}", err=True)
