"""The commands of a single arm: train, evaluate, latency, predict."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from runners.cli.options import (
    WORK,
    Arm,
    AsJson,
    Batch,
    Compile,
    DataRoot,
    Dataset,
    DetectionLoad,
    Device,
    Devices,
    EvalBatch,
    MaxSeconds,
    MinScore,
    Out,
    Preset,
    RelCi,
    Rounds,
    Scaling,
    Scenario,
    Scoring,
    Set,
    ValidateEvery,
    Weights,
    WorkDir,
    Workers,
)


def train(
    arm: Arm,
    dataset: Dataset = None,
    settings: Set = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    workers: Workers = None,
    validate_every: ValidateEvery = None,
    compile_network: Compile = False,
    devices: Devices = 1,
    scaling: Scaling = "keep",
) -> None:
    """Train one arm; the same command again goes on where it stopped. Also under torchrun."""
    from runners.arms import single as singles
    from runners.cli import commands

    place = commands.workplace(
        work_dir, device, workers, validate_every, compile_training=compile_network
    )
    singles.train(
        arm,
        dataset=dataset,
        settings=settings or [],
        place=replace(place, devices=devices),
        data_root=data_root,
        scaling=scaling,
    )


def evaluate(
    arm: Arm,
    weights: Weights = None,
    dataset: Dataset = None,
    split: Annotated[str, typer.Option(help="train, val, test, …")] = "val",
    settings: Set = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    workers: Workers = None,
    scoring: Scoring = "pycocotools",
    eval_batch: EvalBatch = 1,
    devices: Devices = 1,
    as_json: AsJson = False,
) -> None:
    """Score one arm with COCO's box and mask AP; for test images write the server's files."""
    from runners.arms import single as singles
    from runners.cli import commands

    place = commands.workplace(
        work_dir, device, workers, None, scoring=scoring, eval_batch=eval_batch
    )
    singles.evaluate(
        arm,
        weights=weights,
        dataset=dataset,
        split=split,
        settings=settings or [],
        place=replace(place, devices=devices),
        data_root=data_root,
        as_json=as_json,
    )


def latency(
    arms: Annotated[list[str], typer.Argument(help="presets or run.yaml files", metavar="ARM…")],
    weights: Weights = None,
    dataset: Dataset = None,
    settings: Set = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    scenario: Scenario = None,
    rel_ci: RelCi = 0.01,
    max_seconds: MaxSeconds = 300.0,
    rounds: Rounds = None,
    batch: Batch = 1,
    load: DetectionLoad = None,
    twin: Annotated[bool, typer.Option(help="time the first arm twice, as a check")] = False,
    curve: Annotated[
        str | None, typer.Option(help="against detections or image_size: a table and a figure")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time arms together, in alternating rounds, until the intervals are narrow."""
    from runners.cli import commands
    from runners.timing import command as latencies

    request = latencies.Request(
        arms=arms,
        weights=weights,
        dataset=dataset,
        settings=settings or [],
        place=commands.workplace(work_dir, device, None, None),
        data_root=data_root,
        plan=latencies.plan_of(
            scenarios=tuple(scenario) if scenario else None,
            rel_ci=rel_ci,
            max_s=max_seconds,
            batch_size=batch,
            load=load,
            twin=twin,
        ),
        load=load,
        rounds=rounds,
    )
    if curve is None:
        latencies.latency(request, as_json=as_json)
        return
    from reports.pages import curve_page as telling
    from runners.timing import curve as measuring

    found = measuring.latency_curve(request, curve)
    folder = telling.write_curve(work_dir, found)
    typer.echo(telling.as_json(found) if as_json else telling.as_text(found))
    typer.echo(f"figure: {folder / 'curve.png'}", err=True)


def predict(
    source: Annotated[Path, typer.Argument(help="an image, or a folder of images")],
    weights: Annotated[Path, typer.Option(help="a checkpoint (final.pt)")],
    arm: Preset = None,
    out: Out = Path("predictions"),
    min_score: MinScore = 0.3,
    settings: Set = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Draw boxes, masks and labels on an image or on every image of a folder."""
    from runners.arms import draw_command as predicting

    predicting.predict(
        source,
        weights=weights,
        arm=arm,
        out=out,
        min_score=min_score,
        settings=settings or [],
        device=device,
        as_json=as_json,
    )
