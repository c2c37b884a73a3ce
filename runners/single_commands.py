"""The commands of a single arm: train, evaluate, latency, predict."""

from pathlib import Path
from typing import Annotated

import typer

from runners.options import (
    WORK,
    Arm,
    AsJson,
    Compile,
    DataRoot,
    Dataset,
    Device,
    MinScore,
    Out,
    Preset,
    Rounds,
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
) -> None:
    """Train one arm; the same command again goes on where it stopped."""
    from runners import commands, singles

    place = commands.workplace(
        work_dir, device, workers, validate_every, compile_training=compile_network
    )
    singles.train(arm, dataset=dataset, settings=settings or [], place=place, data_root=data_root)


def evaluate(
    arm: Arm,
    weights: Weights = None,
    dataset: Dataset = None,
    split: Annotated[str, typer.Option(help="train, val, test, …")] = "val",
    settings: Set = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Score one arm with COCO's box and mask AP; for test images write the server's files."""
    from runners import commands, singles

    singles.evaluate(
        arm,
        weights=weights,
        dataset=dataset,
        split=split,
        settings=settings or [],
        place=commands.workplace(work_dir, device, None, None),
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
    rounds: Rounds = 100,
    as_json: AsJson = False,
) -> None:
    """Time arms together: one image at a time, in alternating rounds."""
    from runners import commands, singles

    singles.latency(
        arms,
        weights=weights,
        dataset=dataset,
        settings=settings or [],
        place=commands.workplace(work_dir, device, None, None),
        data_root=data_root,
        rounds=rounds,
        as_json=as_json,
    )


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
    from runners import predict as predicting

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
