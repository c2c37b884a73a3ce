"""Arguments and options that several commands share."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

WORK = Path("work")
MOST_THREADS, MOST_SEEDS = 1024, 1000  # a larger number is a slip that fills the machine


def require_files(specs: Path | Sequence[Path]) -> Path | Sequence[Path]:
    """Return the specs, having refused those that do not exist before torch is loaded.

    Raises:
        SpecError: there is no such file.
    """
    from yolact_bench.text_file import require_file

    for spec in [specs] if isinstance(specs, Path) else specs:
        require_file(spec)
    return specs


def at_least(least: float, most: float = math.inf) -> Callable[[float | None], float | None]:
    """Return what refuses a number outside of a range before anything runs.

    `min` and `max` of typer, which serve for whole numbers, let NaN pass.
    """

    def check(value: float | None) -> float | None:
        if value is not None and not least <= value <= most:
            top = "" if most == math.inf else f" to {most:g}"
            raise typer.BadParameter(f"{value:g} is not a number from {least:g}{top or ' on'}.")
        return value

    return check


# What to work on
Specs = Annotated[
    list[Path],
    typer.Argument(
        help="YAML files of ablations or sweeps.", metavar="SPEC…", callback=require_files
    ),
]
Arm = Annotated[str, typer.Argument(help="Name of a preset, or path of a run.yaml.", metavar="ARM")]
DATASET = "Data set: coco, sbd, shapes, or the path of a dataset.yaml."
Dataset = Annotated[str | None, typer.Option(help=DATASET)]
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
Budget = Annotated[
    str, typer.Option(help="Effort: smoke (seconds), short (a proxy of the result) or full.")
]

# Where to work
WorkDir = Annotated[Path, typer.Option(help="Folder for checkpoints, results and reports.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(envvar="YOLACT_DATA", help="Folder that holds COCO (and sbd/) for the presets."),
]
HashImages = Annotated[
    bool,
    typer.Option(
        "--hash-images",
        help="Read all bytes of all images and compare them with those of the first such command; "
        "otherwise size, first and last 4 KiB identify an image.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Device: cpu, cuda or cuda:N. Default: cuda if there is one, else cpu."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=MOST_THREADS,
        help="Processes that load images and encode masks; results do not depend on it. "
        "Default: 4 with CUDA, 1 without.",
    ),
]
Devices = Annotated[int, typer.Option(min=1, help="Devices that share each batch of a training.")]

# How to train
ValidateEvery = Annotated[
    int | None,
    typer.Option(
        min=0, help="Iterations between validations; 0 for none. Default: a fifth of the schedule."
    ),
]
Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compiled network for training; takes minutes to start."),
]
Graph = Annotated[
    bool,
    typer.Option("--graph", help="Whole training step as one CUDA graph, on a GPU alone."),
]
CudnnBenchmark = Annotated[
    bool,
    typer.Option(
        "--cudnn-benchmark",
        help="Fastest algorithms of cuDNN for training, by timing; they change between executions.",
    ),
]

# How to evaluate
MaxStore = Annotated[
    float,
    typer.Option(
        "--max-store",
        callback=at_least(0),
        help="Largest stored forward pass, GB; 0 stores none and runs the whole detector per arm.",
    ),
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
    typer.Option(min=1, help="Maximum number of timing rounds. Default: no maximum."),
]
Batch = Annotated[int, typer.Option(help="Batch size.")]

# What comes out
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="All notes and warnings below the table.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
