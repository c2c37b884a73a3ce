"""Predict and evaluate trained units; units that share a forward pass take it once.

One file: what is predicted, stored and found again goes by one folder and key of a unit.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runners.evaluation.coco.score import engine_name
from runners.evaluation.files import PredictionKey, batch_size_of, is_complete
from runners.evaluation.predict import predict
from runners.evaluation.predict_sharded import PredictionInput, predict_sharded
from runners.evaluation.replay import Variant, replay
from runners.evaluation.score import score_predictions
from runners.evaluation.stored_pass import StoredPass, lowest_score, open_pass, store_pass
from runners.system.environment import environment, now
from runners.training.run import TrainingResult
from runners.units.macs import macs_or_none
from runners.units.unit import Unit, Work, identity
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.build import build_detector
from yolact_bench.detector import Detector
from yolact_bench.file_hash import file_sha256
from yolact_bench.findings import count_kinds
from yolact_bench.results.record import Accuracy
from yolact_bench.weights.classes import stored_classes
from yolact_bench.weights.labels import label_order


def evaluate_unit(unit: Unit, place: Workplace, training: TrainingResult) -> Accuracy:
    """Return the accuracy of a trained unit, leaving its predictions on disk.

    Raises:
        ArmError: an image cannot be read.
    """
    detector = trained_detector(unit.run, place)
    folder = predict_unit(unit, place, detector=detector)
    place.resamples(unit.detect_digest).unlink(missing_ok=True)  # of an earlier record's weights
    return replace(
        score_unit(unit, place, folder),
        weights_sha256=place.weights_sha256(unit.run),
        parameters=detector.num_parameters,
        iterations=training.iterations,
        train_seconds=training.seconds,
        train_images_per_second=training.images_per_second,
        eval_batch=batch_size_of(folder),
        macs=macs_or_none(unit.run, title=unit.title),
        **training.record_fields,
    )


def score_unit(unit: Work, place: Workplace, folder: Path) -> Accuracy:
    """Return the accuracy of predictions on disk; nothing is known of a network or a training."""
    dataset = place.datasets.open(unit.data, unit.split)
    scores = score_predictions(dataset, folder, scoring=place.scoring, evaluation=unit.evaluation)
    return Accuracy(
        **identity(unit),
        forward_digest=unit.forward_digest,
        dataset=f"{unit.data.name} {unit.split}",
        eval_data=unit.eval_data,
        num_images=len(dataset),
        box=scores.box,
        mask=scores.mask,
        parameters=0,
        iterations=0,
        train_seconds=0.0,
        train_images_per_second=0.0,
        skipped_annotations=0,
        findings=count_kinds(dataset.findings),
        peak_memory_mb=None,
        predictions=str(folder.relative_to(place.work_dir)),
        environment=environment(place.device),
        time=now(),
        proxy=unit.proxy,
        scoring=engine_name(place.scoring),
        evaluation=unit.evaluation.changes,
        crowded_images=scores.crowded_images,
    )


def predict_unit(
    unit: Unit, place: Workplace, *, weights: Path | None = None, detector: Detector | None = None
) -> Path:
    """Return the folder of a unit's predictions by its whole detector, made unless they are there.

    Other `weights` than those of its training have a folder of their own. A `detector` with the
    weights need not be built again.

    Raises:
        ArmError: an image cannot be read.
    """
    dataset = place.datasets.open(unit.data, unit.split)
    folder, key = _folder_and_key(unit, unit.detect_digest, place)
    file, title = place.weights(unit.run), f"evaluate {unit.title}"
    if weights is not None:
        sha256 = file_sha256(weights)
        # Earlier versions took labels in the order of the data, whatever the file says of its own.
        order = label_order(stored_classes(weights), unit.run.classes, path=weights)
        folder = place.predictions(f"{unit.detect_digest}-{sha256[:16]}")
        of = f"{sha256} by name" if order else sha256
        file, key = weights, PredictionKey(unit.detect_digest, of, len(dataset))
    if is_complete(folder, key):
        return folder
    if place.devices > 1:
        return predict_sharded(
            PredictionInput(run=unit.run, file=file, data=unit.data, split=unit.split),
            folder,
            key,
            batch_size=place.eval_batch,
            device=place.device,
            devices=place.devices,
            title=title,
        )
    return predict(
        detector or trained_detector(unit.run, place, weights=weights),
        dataset,
        folder,
        key,
        batch_size=place.eval_batch,
        processes=place.encoders,
        title=title,
    )


def predict_together(units: Sequence[Unit], place: Workplace) -> None:
    """Leave the predictions of units that share a forward digest on disk, from one pass.

    The pass is stored where more than one unit needs it. A single unit, or one that cannot be
    replayed, runs through the whole detector instead. Complete predictions are kept.

    Raises:
        ArmError: an image cannot be read, or the pass is larger than may be stored.
    """
    pending = [
        unit
        for unit in units
        if lowest_score(unit.run) is not None and not is_predicted(unit, place)
    ]
    if not pending or not place.max_store_bytes:
        return
    stored = find_pass(units[0], place)
    threshold = min(score for u in pending if (score := lowest_score(u.run)) is not None)
    if stored is None or stored.min_score > threshold:
        if len(pending) == 1:
            return
        stored = keep_pass(units[0], place, min_score=threshold)
    network = trained_detector(units[0].run, place).network
    variants = [
        Variant(
            detector=build_detector(unit.run, network, device=place.device),
            folder=place.predictions(unit.detect_digest),
            digest=unit.detect_digest,
            title=unit.title,
        )
        for unit in pending
    ]
    dataset = place.datasets.open(units[0].data, units[0].split)
    replay(stored, variants, dataset, weights=units[0].train_digest)


def predict_alone(unit: Unit, place: Workplace) -> Path:
    """Return the folder of one unit's predictions, made from a stored pass where one serves.

    Raises:
        ArmError: as `predict_together`.
    """
    predict_together([unit], place)
    return predict_unit(unit, place)


def keep_pass(unit: Unit, place: Workplace, *, min_score: float) -> StoredPass:
    """Return the stored pass of a unit with the candidates above `min_score`, made if need be.

    Raises:
        ArmError: as `predict_together`.
    """
    stored = find_pass(unit, place)
    if stored is not None and stored.min_score <= min_score:
        return stored
    return store_pass(
        trained_detector(unit.run, place),
        place.datasets.open(unit.data, unit.split),
        *_folder_and_key(unit, unit.forward_digest, place),
        min_score=min_score,
        max_bytes=place.max_store_bytes,
        title=f"forward pass {unit.title}",
        batch_size=place.eval_batch,
    )


def is_predicted(unit: Unit, place: Workplace) -> bool:
    """Return whether the unit's predictions are complete, and of the weights that are there."""
    return is_complete(*_folder_and_key(unit, unit.detect_digest, place))


def find_pass(unit: Unit, place: Workplace) -> StoredPass | None:
    """Return the complete stored pass of a unit, if there is one."""
    return open_pass(*_folder_and_key(unit, unit.forward_digest, place))


def _folder_and_key(unit: Unit, digest: str, place: Workplace) -> tuple[Path, PredictionKey]:
    num_images = len(place.datasets.open(unit.data, unit.split))
    key = digest, unit.train_digest, num_images, place.weights_sha256(unit.run)
    return place.predictions(digest), PredictionKey(*key)
