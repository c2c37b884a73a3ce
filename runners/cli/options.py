"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Spec = Annotated[Path, typer.Argument(help="an ablation's YAML file", metavar="SPEC")]
SweepFile = Annotated[Path, typer.Argument(help="a sweep's YAML file", metavar="SPEC")]
Specs = Annotated[list[Path], typer.Argument(help="YAML files of ablations", metavar="SPEC…")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="change a slot or option in every arm"),
]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="ARM", help="these arms alone")]
Seeds = Annotated[int | None, typer.Option(help="seeds 0 … N-1 instead of the file's")]
Budget = Annotated[str, typer.Option(help="smoke (seconds), short (a proxy) or full")]
Rate = Annotated[
    float | None, typer.Option("--images-per-second", help="of training, for the plan's estimate")
]
Rates = Annotated[
    list[str] | None,
    typer.Option(
        "--images-per-second",
        metavar="RATE|PRESET=RATE",
        help="of training on one device: 50 for every one, yolact_r101=45 for those like it; "
        "may be given again",
    ),
]
RatesFile = Annotated[
    Path | None, typer.Option("--rates", help="YAML with rates: every, presets, evaluation")
]
EvaluationRate = Annotated[
    float | None,
    typer.Option("--evaluation-images-per-second", help="of network and detection, on one device"),
]
Gpus = Annotated[
    str | None,
    typer.Option(metavar="N,N,…", help="Numbers of devices to plan the suite for: 8,64,512."),
]
Efficiency = Annotated[
    float | None,
    typer.Option("--scaling-efficiency", help="share of the ideal speed-up on several devices"),
]
Price = Annotated[float | None, typer.Option("--price-per-hour", help="of one device")]
WorkDir = Annotated[Path, typer.Option(help="where checkpoints, results and reports go")]
DataRoot = Annotated[
    Path | None,
    typer.Option(envvar="YOLACT_DATA", help="folder that holds COCO (and sbd/), for the presets"),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; default: cuda if there is one")]
Workers = Annotated[
    int | None,
    typer.Option(help="processes that load images and encode masks; never changes a result"),
]
Compile = Annotated[
    bool, typer.Option("--compile", help="train with a compiled network; starts minutes later")
]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="here, local (a worker process a slot) or ray; default: local where there is more "
        "than one slot",
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(help="arms side by side; default: one for each CUDA device, 1 on a CPU"),
]
Devices = Annotated[int, typer.Option(help="devices that share each batch of a training")]
Address = Annotated[
    str | None, typer.Option(envvar="RAY_ADDRESS", help="of a Ray cluster: HOST:6379, or auto")
]
Scaling = Annotated[
    str,
    typer.Option(
        help="keep: the schedule is the spec's; linear: batch and rate times --devices, "
        "iterations divided by it"
    ),
]
Dataset = Annotated[
    str | None, typer.Option(help="coco, sbd, shapes, or the path of a dataset.yaml")
]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Arm = Annotated[str, typer.Argument(help="a preset, or the path of a run.yaml", metavar="ARM")]
LatencyFirst = Annotated[
    bool,
    typer.Option(
        "--latency-first",
        help="time arms before training; who is over the spec's latency.budget_ms is left out",
    ),
]
MaxStore = Annotated[
    float, typer.Option(help="GB for stored forward passes; 0: none, the whole detector per arm")
]
Sizes = Annotated[
    bool, typer.Option("--sizes", help="intervals for small, medium and large objects too")
]
Scoring = Annotated[
    str,
    typer.Option(
        envvar="YOLACT_SCORING",
        help="engine of COCO's metrics: pycocotools, vectorised or faster (faster-coco-eval)",
    ),
]
EvalBatch = Annotated[
    int, typer.Option(min=1, help="images a forward pass; beyond 1, last digits of scores change")
]
Weights = Annotated[
    Path | None, typer.Option(help="a checkpoint (final.pt), or a released YOLACT .pth")
]

WORK = Path("work")
ValidateEvery = Annotated[int | None, typer.Option(help="iterations; 0: never")]
Rounds = Annotated[
    int | None, typer.Option(help="at most so many of alternating timing; default: no such bound")
]
Scenario = Annotated[
    list[str] | None,
    typer.Option(help="model, detector or end_to_end; may be given again; default: end_to_end"),
]
RelCi = Annotated[float, typer.Option(help="half-width of the intervals at which rounds end")]
MaxSeconds = Annotated[float, typer.Option(help="of rounds, for each scenario")]
Batch = Annotated[int, typer.Option(help="images in a call")]
DetectionLoad = Annotated[
    str | None,
    typer.Option(
        "--load",
        help="own, coco_like, crowded_100 or constant_N detections; default: own for trained "
        "arms, coco_like for others",
    ),
]
Preset = Annotated[
    str | None, typer.Option(help="a preset; default: the run.yaml beside the weights")
]
Out = Annotated[Path, typer.Option(help="folder for the pictures")]
MinScore = Annotated[float, typer.Option(help="draw detections from this score on")]
