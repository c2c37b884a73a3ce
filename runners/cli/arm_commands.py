"""The commands of single arms: train, evaluate, latency, profile, predict, import-weights."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options

log = logging.getLogger(__name__)


def train(
    arm: options.Arm,
    dataset: options.Dataset = None,
    settings: options.ArmSet = None,
    work_dir: options.WorkDir = options.WORK,
    data_root: options.DataRoot = None,
    device: options.Device = None,
    workers: options.Workers = None,
    validate_every: options.ValidateEvery = None,
    compile_network: options.Compile = False,
    devices: options.Devices = 1,
    scaling: options.Scaling = "keep",
) -> None:
    """Train one arm; the same command resumes an interrupted training. Also under torchrun."""
    log.info("loading torch")
    from runners.arms import single
    from runners.cli.workplace import make_workplace

    single.train(
        arm,
        dataset=dataset,
        settings=settings or [],
        place=make_workplace(
            work_dir,
            device,
            workers=workers,
            validate_every=validate_every,
            compile_training=compile_network,
            devices=devices,
        ),
        data_root=data_root,
        scaling=scaling,
    )


def evaluate(
    arm: options.Arm,
    weights: options.Weights = None,
    dataset: options.Dataset = None,
    split: Annotated[str, typer.Option(help="Split of the data set: train, val, test, ….")] = "val",
    settings: options.ArmSet = None,
    work_dir: options.WorkDir = options.WORK,
    data_root: options.DataRoot = None,
    device: options.Device = None,
    workers: options.Workers = None,
    scoring: options.Scoring = "pycocotools",
    eval_batch: options.EvalBatch = 1,
    devices: options.EvalDevices = 1,
    as_json: options.AsJson = False,
) -> None:
    """Score one arm with COCO's box and mask AP; for test images write the server's files."""
    log.info("loading torch")
    from runners.arms import single
    from runners.cli.workplace import make_workplace

    single.evaluate(
        arm,
        weights=weights,
        dataset=dataset,
        split=split,
        settings=settings or [],
        place=make_workplace(
            work_dir,
            device,
            workers=workers,
            scoring=scoring,
            eval_batch=eval_batch,
            devices=devices,
        ),
        data_root=data_root,
        as_json=as_json,
    )


def latency(
    arms: Annotated[
        list[str], typer.Argument(help="Presets, or paths of run.yaml files.", metavar="ARM…")
    ],
    weights: options.Weights = None,
    dataset: options.Dataset = None,
    settings: options.Set = None,
    work_dir: options.WorkDir = options.WORK,
    data_root: options.DataRoot = None,
    device: options.Device = None,
    scenario: options.Scenario = None,
    rel_ci: options.RelCi = 0.01,
    max_seconds: options.MaxSeconds = 300.0,
    rounds: options.Rounds = None,
    batch: options.Batch = 1,
    load: options.DetectionLoad = None,
    twin: Annotated[
        bool, typer.Option(help="Second timing of the first arm, as a check of the method.")
    ] = False,
    curve: Annotated[
        str | None,
        typer.Option(help="Table and figure of the time against detections or image_size."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Time arms together, in alternating rounds, until the intervals are narrow."""
    log.info("loading torch")
    from runners.cli.workplace import make_workplace
    from runners.timing import command
    from runners.timing.request import LatencyRequest

    request = LatencyRequest(
        arms=arms,
        weights=weights,
        dataset=dataset,
        settings=settings or [],
        place=make_workplace(work_dir, device),
        data_root=data_root,
        plan=command.plan_of(
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
        command.latency(request, as_json=as_json)
        return
    from reports.pages import curve_page
    from runners.timing.curve import latency_curve

    points = latency_curve(request, curve)
    folder = curve_page.write_curve(work_dir, points)
    typer.echo(curve_page.as_json(points) if as_json else curve_page.as_text(points))
    typer.echo(f"figure: {folder / 'curve.png'}", err=True)


def profile(
    arm: options.Arm,
    weights: options.Weights = None,
    settings: options.ArmSet = None,
    device: options.Device = None,
    scenario: Annotated[
        str, typer.Option(help="What is timed: model, detector or end_to_end.")
    ] = "detector",
    load: Annotated[
        str | None,
        typer.Option(
            help="Detections per image: own, coco_like, crowded_100 or constant_N. Default: own "
            "with weights, crowded_100 without."
        ),
    ] = None,
    batch: options.Batch = 1,
    max_seconds: Annotated[float, typer.Option(help="Time limit of the timing, seconds.")] = 30.0,
    work_dir: options.WorkDir = options.WORK,
    as_json: options.AsJson = False,
) -> None:
    """Break one arm down: parameters, MACs, bytes and time of its stages, and a roofline."""
    log.info("loading torch")
    from reports.pages.profile_page import table, write
    from runners.cli.terminal import print_table
    from runners.cli.workplace import make_workplace
    from runners.profiling.profile import profile_arm
    from yolact_bench.results.serialise import to_plain
    from yolact_bench.spec.latency import OWN, LatencyPlan

    profiled = profile_arm(
        arm,
        device=make_workplace(work_dir, device).device,
        weights=weights,
        settings=settings or [],
        plan=LatencyPlan(
            scenarios=(scenario,),
            batch_size=batch,
            max_s=max_seconds,
            load=load or (OWN if weights is not None else "crowded_100"),
        ),
        scenario=scenario,
    )
    page = write(profiled, work_dir / "reports" / f"profile-{profiled.arm}")
    if as_json:
        typer.echo(json.dumps(to_plain(profiled)))
        return
    print_table(table(profiled))
    typer.echo(f"figures: {page}", err=True)


def predict(
    source: Annotated[Path, typer.Argument(help="Image, or folder of images.")],
    weights: Annotated[Path, typer.Option(help="Checkpoint (final.pt).")],
    arm: options.Preset = None,
    out: Annotated[Path, typer.Option(help="Folder for the drawn images.")] = Path("predictions"),
    min_score: Annotated[float, typer.Option(help="Lowest score that is drawn, 0 to 1.")] = 0.3,
    settings: options.ArmSet = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
) -> None:
    """Draw boxes, masks and labels on an image or on every image of a folder."""
    log.info("loading torch")
    from runners.arms import draw_command

    draw_command.predict(
        source,
        weights=weights,
        arm=arm,
        out=out,
        min_score=min_score,
        settings=settings or [],
        device=device,
        as_json=as_json,
    )


def import_weights(
    file: Annotated[Path, typer.Argument(help="Released YOLACT file.", metavar="FILE.pth")],
    arm: Annotated[
        str | None,
        typer.Option(
            help="Name of a preset, or path of a run.yaml. Default: recognised by keys and name."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write to. Default: work/imported/<name>."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Turn released YOLACT weights into a checkpoint: final.pt, and run.yaml beside it."""
    from runners.arms import import_weights as importing

    folder = out or options.WORK / "imported" / file.stem
    importing.show(importing.import_weights(file, arm=arm, out=folder), as_json=as_json)
