"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

WORK = Path("work")

# What to work on
Spec = Annotated[Path, typer.Argument(help="YAML file of an ablation.", metavar="SPEC")]
SweepFile = Annotated[Path, typer.Argument(help="YAML file of a sweep.", metavar="SPEC")]
Specs = Annotated[
    list[Path], typer.Argument(help="YAML files of ablations or sweeps.", metavar="SPEC…")
]
Arm = Annotated[str, typer.Argument(help="Name of a preset, or path of a run.yaml.", metavar="ARM")]
Preset = Annotated[
    str | None, typer.Option(help="Name of a preset. Default: the run.yaml beside the weights.")
]
Dataset = Annotated[
    str | None, typer.Option(help="Data set: coco, sbd, shapes, or the path of a dataset.yaml.")
]
Weights = Annotated[
    Path | None, typer.Option(help="Checkpoint (final.pt) or released YOLACT file (.pth).")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="New value of a slot or an option, in every arm. Repeatable.",
    ),
]
ArmSet = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="New value of a slot or an option. Repeatable."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="ARM", help="Name of an arm to run alone. Repeatable."),
]
Seeds = Annotated[
    int | None, typer.Option(help="Number of seeds, 0 … N-1. Default: the seeds of the file.")
]
Budget = Annotated[
    str, typer.Option(help="Effort: smoke (seconds), short (a proxy of the result) or full.")
]

# Where to work
WorkDir = Annotated[Path, typer.Option(help="Folder for checkpoints, results and reports.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(envvar="YOLACT_DATA", help="Folder that holds COCO (and sbd/) for the presets."),
]
Device = Annotated[
    str | None,
    typer.Option(help="Device: cpu, cuda or cuda:N. Default: cuda if there is one, else cpu."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that load images and encode masks; results do not depend on it. "
        "Default: 4 with CUDA, 1 without."
    ),
]
Devices = Annotated[int, typer.Option(help="Devices that share each batch of a training.")]
EvalDevices = Annotated[int, typer.Option("--devices", help="Devices that share the images.")]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="Where arms run: here (this process), local (a worker process per slot) or ray. "
        "Default: local with more than one slot, else here.",
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(help="Arms side by side. Default: one per CUDA device; 1 on a CPU."),
]
Address = Annotated[
    str | None,
    typer.Option(envvar="RAY_ADDRESS", help="Address of the Ray cluster (HOST:6379 or auto)."),
]

# How to train
ValidateEvery = Annotated[
    int | None,
    typer.Option(
        help="Iterations between validations; 0 for none. Default: a fifth of the schedule."
    ),
]
Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compiled network for training; takes minutes to start."),
]
Scaling = Annotated[
    str,
    typer.Option(
        help="Schedule on several devices: keep (as in the spec) or linear (batch and rate "
        "multiplied by --devices, iterations divided by it)."
    ),
]

# How to evaluate
MaxStore = Annotated[
    float,
    typer.Option(
        help="Space for stored forward passes, GB; 0 stores none and runs the whole detector "
        "per arm."
    ),
]
Sizes = Annotated[
    bool,
    typer.Option("--sizes", help="Intervals for small, medium and large objects as well."),
]
Scoring = Annotated[
    str,
    typer.Option(
        envvar="YOLACT_SCORING",
        help="Engine for COCO's metrics: pycocotools, vectorised or faster (faster-coco-eval).",
    ),
]
EvalBatch = Annotated[
    int,
    typer.Option(min=1, help="Images per forward pass; above 1 the last digits of scores change."),
]

# How to time
Rounds = Annotated[
    int | None,
    typer.Option(help="Maximum number of timing rounds. Default: no maximum."),
]
Scenario = Annotated[
    list[str] | None,
    typer.Option(
        help="What is timed: model, detector or end_to_end. Repeatable. Default: end_to_end."
    ),
]
RelCi = Annotated[
    float,
    typer.Option(help="Relative half-width of the intervals at which timing stops."),
]
MaxSeconds = Annotated[float, typer.Option(help="Time limit per scenario, seconds.")]
Batch = Annotated[int, typer.Option(help="Batch size.")]
DetectionLoad = Annotated[
    str | None,
    typer.Option(
        "--load",
        help="Detections per image: own, coco_like, crowded_100 or constant_N. Default: own for "
        "trained arms, coco_like for others.",
    ),
]
LatencyFirst = Annotated[
    bool,
    typer.Option(
        "--latency-first",
        help="Latency check before training; arms over latency.budget_ms are skipped.",
    ),
]

# What a plan assumes
Rate = Annotated[
    float | None,
    typer.Option(
        "--images-per-second",
        help="Training throughput for the estimate, images per second. Default: measured rates.",
    ),
]
Rates = Annotated[
    list[str] | None,
    typer.Option(
        "--images-per-second",
        metavar="RATE|PRESET=RATE",
        help="Training throughput of one device, images per second: 50 for every arm, "
        "yolact_r101=45 for arms of that preset. Repeatable. Default: measured rates.",
    ),
]
RatesFile = Annotated[
    Path | None,
    typer.Option("--rates", help="YAML file with throughputs: every, presets, evaluation."),
]
EvaluationRate = Annotated[
    float | None,
    typer.Option(
        "--evaluation-images-per-second",
        help="Throughput of network and detection on one device, images per second. "
        "Default: measured rates.",
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,…",
        help="Numbers of devices to plan the suite for. Default: 8,64,512 for several SPECs.",
    ),
]
Efficiency = Annotated[
    float | None,
    typer.Option(
        "--scaling-efficiency",
        help="Fraction of the ideal speed-up on several devices, 0 to 1. Default: 1.",
    ),
]
Price = Annotated[
    float | None, typer.Option("--price-per-hour", help="Price per device-hour. Default: none.")
]

# What comes out
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="All notes and warnings below the table.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
DryRun = Annotated[bool, typer.Option(help="Plan only; nothing runs.")]
