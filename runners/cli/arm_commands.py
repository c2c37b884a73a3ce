"""The commands of single arms: train, evaluate, latency, profile, predict, import-weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from runners.cli.command import PlaceOptions
from yolact_bench import ranges


@dataclass(frozen=True, kw_only=True)
class TrainCommand(PlaceOptions):
    """Train one arm; the same command resumes an interrupted training. Also under torchrun."""

    arm: options.Arm
    dataset: options.Dataset = None
    hash_images: options.HashImages = False
    strict: options.Strict = None
    settings: options.ArmSet = None
    workers: options.Workers = None
    validate_every: options.ValidateEvery = None
    compile_network: options.Compile = False
    record_step: options.Graph = False
    cudnn_benchmark: options.CudnnBenchmark = False
    devices: options.Devices = 1
    scaling: Annotated[
        str,
        typer.Option(
            help="Schedule on several devices: keep (as in the spec) or linear (batch and rate "
            "multiplied by --devices, iterations divided by it)."
        ),
    ] = "keep"


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand(PlaceOptions):
    """Score one arm with COCO's box and mask AP; for test images write the server's files."""

    arm: options.Arm
    weights: options.Weights = None
    dataset: options.Dataset = None
    split: Annotated[str, typer.Option(help="Split of the data set: train, val, test, ….")] = "val"
    hash_images: options.HashImages = False
    strict: options.Strict = None
    settings: options.ArmSet = None
    workers: options.Workers = None
    scoring: options.Scoring = "pycocotools"
    eval_batch: options.EvalBatch = 1
    devices: Annotated[
        int, options.number(ranges.Threads, help="Devices that share the images.")
    ] = 1
    as_json: options.AsJson = False


@dataclass(frozen=True, kw_only=True)
class LatencyCommand(PlaceOptions):
    """Time arms together, in alternating rounds, until the intervals are narrow."""

    arms: Annotated[
        list[str], typer.Argument(help="Presets, or paths of run.yaml files.", metavar="ARM…")
    ]
    weights: options.Weights = None
    dataset: options.Dataset = None
    hash_images: options.HashImages = False
    settings: options.Set = None
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            help="What is timed: model, detector or end_to_end. Repeatable. Default: end_to_end."
        ),
    ] = None
    rel_ci: Annotated[
        float,
        options.number(
            ranges.Share, help="Relative half-width of the intervals at which timing stops."
        ),
    ] = 0.01
    max_seconds: Annotated[
        float, options.number(ranges.Positive, help="Time limit per scenario, seconds.")
    ] = 300.0
    rounds: options.Rounds = None
    batch: options.Batch = 1
    load: Annotated[
        str | None,
        typer.Option(
            "--load",
            help="Detections per image: own, coco_like, crowded_100 or constant_N. Default: own "
            "for trained arms, coco_like for others; needed for arms of both kinds.",
        ),
    ] = None
    twin: Annotated[
        bool, typer.Option(help="Second timing of the first arm, as a check of the method.")
    ] = False
    curve: Annotated[
        str | None,
        typer.Option(help="Table and figure of the time against detections or image_size."),
    ] = None
    as_json: options.AsJson = False


@dataclass(frozen=True, kw_only=True)
class ProfileCommand(PlaceOptions):
    """Break one arm down: parameters, MACs, bytes and time of its stages, and a roofline."""

    arm: options.Arm
    weights: options.Weights = None
    settings: options.ArmSet = None
    scenario: Annotated[str, typer.Option(help="What is timed: model, detector or end_to_end.")] = (
        "detector"
    )
    load: Annotated[
        str | None,
        typer.Option(
            help="Detections per image: own, coco_like, crowded_100 or constant_N. Default: own "
            "with weights, crowded_100 without."
        ),
    ] = None
    batch: options.Batch = 1
    max_seconds: Annotated[
        float, options.number(ranges.Positive, help="Time limit of the timing, seconds.")
    ] = 30.0
    as_json: options.AsJson = False
    data_root: None = None  # nothing is read


@dataclass(frozen=True, kw_only=True)
class PredictCommand:
    """Draw boxes, masks and labels on an image or on every image of a folder."""

    source: Annotated[Path, typer.Argument(help="Image, or folder of images.")]
    weights: Annotated[Path, typer.Option(help="Checkpoint (final.pt), or released file (.pth).")]
    arm: Annotated[
        str | None, typer.Option(help="Name of a preset. Default: the run.yaml beside the weights.")
    ] = None
    out: Annotated[Path, typer.Option(help="Folder for the drawn images.")] = Path("predictions")
    min_score: Annotated[
        float,
        options.number(ranges.Fraction, help="Lowest score that is drawn, 0 to 1."),
    ] = 0.3
    settings: options.ArmSet = None
    device: options.Device = None
    as_json: options.AsJson = False


@dataclass(frozen=True, kw_only=True)
class ImportWeightsCommand:
    """Turn weights into a checkpoint: final.pt or a file of safetensors, and run.yaml beside it."""

    file: Annotated[
        Path, typer.Argument(help="Released YOLACT file, or checkpoint.", metavar="FILE.pth")
    ]
    arm: Annotated[
        str | None,
        typer.Option(
            help="Name of a preset, or path of a run.yaml. Default: the one beside the file, or "
            "recognised by keys and name."
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder to write to, or FILE.safetensors. Default: work/imported/<name>.",
        ),
    ] = None
    as_json: options.AsJson = False
