"""Arguments and options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from yolact_bench import ranges
from yolact_bench.errors import SpecError

WORK = Path("work")


def require_files(specs: Path | Sequence[Path]) -> Path | Sequence[Path]:
    """Return the specs, having refused those that do not exist before torch is loaded.

    Raises:
        SpecError: there is no such file.
    """
    from yolact_bench.text_file import require_file

    for spec in [specs] if isinstance(specs, Path) else specs:
        require_file(spec)
    return specs


def number(expected: Any, *names: str, help: str) -> Any:  # noqa: ANN401
    """Return an option that takes numbers of a type of `ranges`, written in decimal digits."""

    def read(text: str | float) -> Any:  # noqa: ANN401
        from yolact_bench.option_values import read_number

        try:
            return read_number(expected, str(text))
        except SpecError as error:
            raise typer.BadParameter(str(error)) from error

    ends = {
        name: getattr(limit, name)
        for limit in expected.__metadata__
        for name in ("ge", "le")
        if hasattr(limit, name)
    }
    return typer.Option(*names, parser=read, min=ends["ge"], max=ends["le"], help=help)


def _require_place(folder: Path) -> Path:
    """Return a work directory, having refused what cannot be one.

    Raises:
        SpecError: it is a file, or a link to nothing.
    """
    from yolact_bench.text_file import require_folder

    require_folder(folder)
    return folder


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
WorkDir = Annotated[
    Path,
    typer.Option(help="Folder for checkpoints, results and reports.", callback=_require_place),
]
Strict = Annotated[
    str | None,
    typer.Option(
        "--strict",
        metavar="[KIND,…]",
        help="Findings in the data that are errors: all, or the kinds that are named as `data "
        "check` names them. Default: none.",
    ),
]
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
    number(
        ranges.Workers,
        help="Processes that load images and encode masks; results do not depend on it. "
        "Default: 4 with CUDA, 1 without.",
    ),
]
Devices = Annotated[
    int, number(ranges.Threads, help="Devices that share each batch of a training.")
]

# How to train
ValidateEvery = Annotated[
    int | None,
    number(
        ranges.CountOrZero,
        help="Iterations between validations; 0 for none. Default: a fifth of the schedule.",
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
    number(
        ranges.NotNegative,
        "--max-store",
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
    number(
        ranges.BatchSize, help="Images per forward pass; above 1 the last digits of scores change."
    ),
]

# How to time
Rounds = Annotated[
    int | None,
    number(ranges.Count, help="Maximum number of timing rounds. Default: no maximum."),
]
Batch = Annotated[int, number(ranges.BatchSize, help="Batch size.")]

# What comes out
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="All notes and warnings below the table.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
