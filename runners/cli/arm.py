"""What `yolact-bench train` and `evaluate` do."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from runners.arms.evaluate import predict_unit
from runners.arms.finish import ensure_accuracy
from runners.arms.standing_record import standing_accuracy
from runners.arms.train import ensure_trained, hold_on_first, report_small_objects
from runners.cli.arm_commands import EvaluateCommand, TrainCommand
from runners.evaluation.files import images_name, write_submission
from runners.evaluation.score import Scores, score_predictions
from runners.system.join_ranks import check_devices, join_torchrun
from runners.system.output import echo
from runners.system.torchrun import refuse_torchrun
from runners.units.check import resolve_unit
from runners.units.lr_scaling import KEEP, SCALINGS
from runners.units.unit import Unit
from runners.units.workplace import Workplace, is_trained
from runners.workdir.leftovers import hold_work_dir
from yolact_bench.errors import SpecError
from yolact_bench.evaluation import crowding_text, evaluation_text
from yolact_bench.file_hash import file_sha256
from yolact_bench.findings import NO_CELL
from yolact_bench.results.record import Accuracy
from yolact_bench.text import align, ap_points

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
        rule = SCALINGS[scaling].format(devices=devices)
        if devices > 1:
            log.info("%d devices, --scaling %s: %s", devices, scaling, rule)
        was_there = is_trained(unit, at)
        if not was_there or command.strict is not None:
            # The first process alone validates.
            splits = ["val"] if at.validate_every != 0 and ranks.first else []
            needed = [(unit.data, split) for split in ("train", *splits)]
            ranks.do_on_all(lambda: at.datasets.open_all(needed))
            if at.datasets.is_error(NO_CELL):
                ranks.do_on_all(lambda: report_small_objects(unit, at))
        lock = hold_work_dir(place.work_dir, command=f"yolact-bench train {command.arm}")
        with hold_on_first(ranks, lock):
            result = ensure_trained(unit, at)
    if not ranks.first:
        return
    verb = "already trained" if was_there else "trained"
    echo(
        f"{verb}: {result.iterations} iterations, {result.seconds:.0f} s, "
        f"{result.images_per_second:.1f} images/s; weights: {result.weights}"
    )
    if devices > 1:
        echo(f"devices: {result.devices}; --scaling {scaling}: {rule}")
    if scaling != KEEP and devices > 1:
        echo(f"to score it: yolact-bench evaluate {result.weights.with_name('run.yaml')}")


def evaluate(command: EvaluateCommand) -> None:
    """Score one arm: with its own training found by digest, or with given weights.

    Images without any annotation (COCO's test) are not scored: their result files are written.
    """
    refuse_torchrun("evaluate")
    arm, place, weights = command.arm, command.place, command.weights
    check_devices(place.device, place.devices)
    unit = _unit(command, place, split=command.split)
    if command.strict is not None:  # else data whose score is there are not opened
        place.datasets.open(unit.data, unit.split)
    if weights is None and not is_trained(unit, place):
        raise SpecError(
            f"{arm}: {place.work_dir} has no training with these settings (digest "
            f"{unit.run.train_digest}); run `yolact-bench train` with the same options, or "
            "give --weights"
        )
    scored = weights is None and standing_accuracy(unit.run, place) is not None
    if not scored and not _has_objects(unit, place):
        _write_submission(unit, weights or place.weights(unit.run), place, as_json=command.as_json)
        return
    scores, num_images, facts = _score(unit, weights, place)
    changes, crowded = unit.evaluation.changes, scores.crowded_images
    if command.as_json:
        notes = {"evaluation": changes, "crowded_images": crowded}
        facts = {**facts, **{name: value for name, value in notes.items() if value}}
        echo(json.dumps({**facts, "box": asdict(scores.box), "mask": asdict(scores.mask)}))
        return
    echo(f"{arm} on {unit.data.name} {unit.split}, {num_images} images")
    rows: list[tuple[str, ...]] = [("", *_SHOWN)]
    for kind, summary in (("box", scores.box), ("mask", scores.mask)):
        rows.append((kind, *(ap_points(getattr(summary, name)) for name in _SHOWN)))
    echo("\n".join(align(rows, left=(0,))))
    if changes:
        echo(f"evaluation, unlike COCO's: {evaluation_text(changes)}")
    if crowded:
        echo(f"note: {crowding_text(crowded, changes)}")


def _score(
    unit: Unit, weights: Path | None, place: Workplace
) -> tuple[Scores | Accuracy, int, Mapping[str, object]]:
    """Return scores, number of images and what was scored: given weights, or the training's."""
    if weights is not None:
        dataset = place.datasets.open(unit.data, unit.split)
        folder = _predict_with(unit, weights, place)
        scores = score_predictions(
            dataset, folder, scoring=place.scoring, evaluation=unit.evaluation
        )
        facts = {"weights": str(weights), "sha256": file_sha256(weights)}
        return scores, len(dataset), facts
    accuracy = standing_accuracy(unit.run, place)
    if accuracy is None:
        with hold_work_dir(place.work_dir, command=f"yolact-bench evaluate {unit.arm}"):
            accuracy = ensure_accuracy(unit, place)
    record = {
        "train_digest": accuracy.train_digest,
        "detect_digest": accuracy.detect_digest,
        "commit": accuracy.environment.commit,
        "device": accuracy.environment.device,
        "time": accuracy.time,
    }
    return accuracy, accuracy.num_images, {"record": record}


def _has_objects(unit: Unit, place: Workplace) -> bool:
    dataset = place.datasets.open(unit.data, unit.split)
    return any(len(dataset.objects(index)) for index in range(len(dataset)))


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


def _predict_with(unit: Unit, weights: Path, place: Workplace) -> Path:
    """Return the folder of the predictions with given weights, made if they are not there."""
    if not weights.is_file():
        raise SpecError(
            f"--weights {weights}: no such file; `yolact-bench train` prints the path of its own"
        )
    with hold_work_dir(
        place.work_dir, command=f"yolact-bench evaluate {unit.arm} --weights {weights}"
    ):
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
        echo(json.dumps({"submission": {k: str(v) for k, v in paths.items()}}))
        return
    echo(f"{unit.data.name} {unit.split} has no annotations to score with; for the server:")
    echo(f"  {paths['box']}\n  {paths['mask']}\nzip each separately")
