"""What `yolact-bench train`, `evaluate`, `data check` and `import-weights` do."""

import json
import logging
import re
from dataclasses import asdict, replace
from pathlib import Path

import typer

from runners.arms.evaluate import predict_unit
from runners.arms.finish import ensure_accuracy
from runners.arms.train import ensure_trained, hold_on_first
from runners.cli.arm_commands import EvaluateCommand, ImportWeightsCommand, TrainCommand
from runners.cli.options import WORK
from runners.evaluation.files import images_name, write_submission
from runners.evaluation.score import score_predictions
from runners.system.ranks import check_devices, join_torchrun
from runners.system.torchrun import refuse_torchrun
from runners.training.checkpoint import save_final
from runners.units.lr_scaling import KEEP, RULES
from runners.units.resolve import resolve_unit
from runners.units.unit import Unit, run_yaml
from runners.units.workplace import Workplace, is_trained
from runners.workdir.dataset_files import check_dataset
from runners.workdir.lock import hold_lock
from yolact_bench.build import build_network, load_weights, recognise_weights
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.files import write_atomically
from yolact_bench.results.record import Accuracy
from yolact_bench.results.text import align, points
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.dataset.dataset import dataset_choice, resolve_dataset
from yolact_bench.spec.file_hash import file_sha256

log = logging.getLogger(__name__)

_SHOWN = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_100")


def train(command: TrainCommand) -> None:
    """Train one arm unless it is trained. Under torchrun all processes do so together."""
    place, scaling = command.place, command.scaling
    with join_torchrun(place.device, devices=place.devices) as (ranks, device):
        devices = max(place.devices, ranks.size)
        check_devices(place.device, place.devices)
        at = replace(place, ranks=ranks, device=device)
        unit = ranks.do_on_all(lambda: _unit(command, at, scaling=scaling, devices=devices))
        rule = RULES[scaling].format(devices=devices)
        if devices > 1:
            log.info("%d devices, --scaling %s: %s", devices, scaling, rule)
        was_there = is_trained(unit, at)
        lock = hold_lock(place.work_dir, command=f"yolact-bench train {command.arm}")
        with hold_on_first(ranks, lock):
            result = ensure_trained(unit, at)
    if not ranks.first:
        return
    verb = "already trained" if was_there else "trained"
    typer.echo(
        f"{verb}: {result.iterations} iterations, {result.seconds:.0f} s, "
        f"{result.images_per_second:.1f} images/s; weights: {result.weights}"
    )
    if devices > 1:
        typer.echo(f"devices: {result.devices}; --scaling {scaling}: {rule}")
    if scaling != KEEP and devices > 1:
        typer.echo(f"to score it: yolact-bench evaluate {result.weights.with_name('run.yaml')}")


def evaluate(command: EvaluateCommand) -> None:
    """Score one arm: with its own training found by digest, or with given weights.

    Images without any annotation (COCO's test) are not scored: their result files are written.
    """
    refuse_torchrun("evaluate")
    arm, place, weights = command.arm, command.place, command.weights
    check_devices(place.device, place.devices)
    unit = _unit(command, place, split=command.split)
    if weights is None and not is_trained(unit, place):
        raise SpecError(
            f"{arm}: {place.work_dir} has no training with these settings (digest "
            f"{unit.run.train_digest}); run `yolact-bench train` with the same options, or "
            "give --weights"
        )
    accuracy = place.store.accuracy(unit.run.detect_digest) if weights is None else None
    if accuracy is None:
        opened = place.datasets.open(unit.data, unit.split)
        if not any(len(opened.objects(index)) for index in range(len(opened))):
            file = weights or place.weights(unit.run)
            _write_submission(unit, file, place, as_json=command.as_json)
            return
    if weights is not None:
        folder = _predict_with(unit, weights, place)
        scores = score_predictions(opened, folder, scoring=place.scoring)
        box, mask, images = scores.box, scores.mask, len(opened)
        facts: dict[str, object] = {"weights": str(weights), "sha256": file_sha256(weights)}
    else:
        if accuracy is None:
            with hold_lock(place.work_dir, command=f"yolact-bench evaluate {arm}"):
                accuracy = ensure_accuracy(unit, place)
        box, mask, images = accuracy.box, accuracy.mask, accuracy.num_images
        facts = {"record": _record_facts(accuracy)}
    if command.as_json:
        typer.echo(json.dumps({**facts, "box": asdict(box), "mask": asdict(mask)}))
        return
    typer.echo(f"{arm} on {unit.data.name} {unit.split}, {images} images")
    rows: list[tuple[str, ...]] = [("", *_SHOWN)]
    for kind, summary in (("box", box), ("mask", mask)):
        rows.append((kind, *(points(getattr(summary, name)) for name in _SHOWN)))
    typer.echo("\n".join(align(rows, left=(0,))))


def _unit(
    command: TrainCommand | EvaluateCommand,
    place: Workplace,
    *,
    split: str = "val",
    scaling: str = KEEP,
    devices: int = 1,
) -> Unit:
    return resolve_unit(
        command.arm,
        command.dataset,
        command.settings or (),
        place,
        command.data_root,
        split=split,
        scaling=scaling,
        devices=devices,
    )


def check_data(dataset: str, *, strict: bool, data_root: Path | None) -> None:
    """Print the annotations that training leaves out; exit 2 with `strict` if there is anything."""
    choice = dataset_choice(dataset, relative_to=Path())
    checked = check_dataset(resolve_dataset(choice, data_root=data_root))
    for count in checked.counts:
        typer.echo(
            f"{count.split}: {count.images} images ({count.images_without_objects} without "
            f"objects), {count.objects} objects, {count.crowds} crowd regions"
        )
        by_class = sorted(count.objects_by_class.items(), key=lambda item: -item[1])
        typer.echo("  " + ", ".join(f"{name} {number}" for name, number in by_class))
    for finding in checked.findings:
        what = "" if finding.annotation_id is None else f" annotation {finding.annotation_id}:"
        typer.echo(f"{finding.split}: image {finding.image_id}:{what} {finding.reason}")
    typer.echo(f"{len(checked.findings)} unusable")
    if strict and checked.findings:
        raise typer.Exit(2)


def import_weights(command: ImportWeightsCommand) -> None:
    """Write the weights of a released file and the run that they belong to into a folder.

    Without an arm the configuration is recognised by keys and shapes, and by the file's name
    where several are alike.

    Raises:
        SpecError: not a released file, or its configuration is ambiguous.
    """
    file = command.file
    out = command.out or WORK / "imported" / file.stem
    weights, run_file = out / "final.pt", out / "run.yaml"
    arm = command.arm or recognise_weights(file)
    run = resolve_architecture(read_run(arm, relative_to=Path()))
    network = build_network(run, initial=False)
    load_weights(network, file)
    out.mkdir(parents=True, exist_ok=True)
    # <config>_<epoch>_<iteration>.pth
    match = re.fullmatch(r".+_\d+_(\d+)(?:_interrupt)?\.pth", file.name)
    facts = {
        "imported_from": file.name,
        "sha256": file_sha256(file),
        "iterations": int(match[1]) if match else 0,
        # The training is unknown.
        "seconds": 0.0,
        "images_per_second": 0.0,
        "skipped_annotations": 0,
        "peak_memory_mb": None,
    }
    save_final(weights, facts=facts, network=network)
    write_atomically(run_file, run_yaml(run))
    if command.as_json:
        typer.echo(json.dumps({"arm": arm, "weights": str(weights), "run": str(run_file)}))
        return
    typer.echo(f"{arm}: {weights}, {run_file}")
    typer.echo(f"  yolact-bench evaluate {run_file} --weights {weights} --dataset coco")


def _predict_with(unit: Unit, weights: Path, place: Workplace) -> Path:
    """Return the folder of the predictions with given weights, made if they are not there."""
    if not weights.is_file():
        raise SpecError(f"weights: no such file: {weights}")
    with hold_lock(place.work_dir, command=f"yolact-bench evaluate {unit.arm} --weights {weights}"):
        return predict_unit(unit, place, weights=weights)


def _write_submission(unit: Unit, weights: Path, place: Workplace, *, as_json: bool) -> None:
    """Write the result files for the server that has the annotations."""
    paths = write_submission(
        _predict_with(unit, weights, place),
        place.work_dir / "submissions" / unit.arm,
        images=images_name(unit.data, unit.split),
        arm=unit.arm,
    )
    if as_json:
        typer.echo(json.dumps({"submission": {k: str(v) for k, v in asdict(paths).items()}}))
        return
    typer.echo(f"{unit.data.name} {unit.split} has no annotations to score with; for the server:")
    typer.echo(f"  {paths.box}\n  {paths.mask}\nzip each separately")


def _record_facts(accuracy: Accuracy) -> dict[str, object]:
    return {
        "train_digest": accuracy.train_digest,
        "detect_digest": accuracy.detect_digest,
        "commit": accuracy.environment.commit,
        "device": accuracy.environment.device,
        "time": accuracy.time,
    }
