"""The command `profile`."""

import json
from typing import Annotated

import typer

from runners.cli.options import WORK, Arm, AsJson, Device, Set, Weights, WorkDir


def profile(
    arm: Arm,
    weights: Weights = None,
    settings: Set = None,
    device: Device = None,
    scenario: Annotated[str, typer.Option(help="model, detector or end_to_end")] = "detector",
    load: Annotated[
        str | None,
        typer.Option(help="declared detections, or own; default: own with weights, else the most"),
    ] = None,
    batch: Annotated[int, typer.Option(help="images in a call")] = 1,
    max_seconds: Annotated[float, typer.Option(help="of timing")] = 30.0,
    work_dir: WorkDir = WORK,
    as_json: AsJson = False,
) -> None:
    """Break one arm down: parameters, MACs, bytes and time of its stages, and a roofline."""
    from reports.pages.markdown import markdown_table
    from reports.pages.profile_page import table, write
    from runners.cli import commands
    from runners.profiling.profile import profile_arm
    from yolact_bench.results.serialise import to_plain
    from yolact_bench.spec.latency import OWN, LatencyPlan

    place = commands.workplace(work_dir, device, None, None)
    plan = LatencyPlan(
        scenarios=(scenario,),
        batch_size=batch,
        max_s=max_seconds,
        load=load or (OWN if weights is not None else "crowded_100"),
    )
    found = profile_arm(
        arm,
        device=place.device,
        weights=weights,
        settings=settings or [],
        plan=plan,
        scenario=scenario,
    )
    page = write(found, work_dir / "reports" / f"profile-{found.arm}")
    if as_json:
        typer.echo(json.dumps(to_plain(found)))
        return
    typer.echo(markdown_table(table(found)))
    typer.echo(f"figures: {page}", err=True)
