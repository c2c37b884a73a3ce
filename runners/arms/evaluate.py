"""Evaluate a trained unit."""

from runners.evaluation.coco.score import engine_name
from runners.evaluation.files import batch_size_of
from runners.evaluation.predict import predict
from runners.evaluation.predict_sharded import predict_sharded
from runners.evaluation.score import evaluate
from runners.system.environment import environment, now
from runners.training.run import Trained
from runners.units.macs import macs_or_none
from runners.units.unit import Unit
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.detector import Detector
from yolact_bench.results.record import Accuracy


def evaluate_unit(unit: Unit, place: Workplace, training: Trained) -> Accuracy:
    """Return the accuracy of a trained unit, leaving its predictions on disk.

    Raises:
        ArmError: an image cannot be read.
    """
    run = unit.run
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(run.detect_digest)
    detector = trained_detector(run, place)
    predict_unit(unit, detector, place)
    scores = evaluate(dataset, folder, scoring=place.scoring)
    return Accuracy(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=run.train_digest,
        forward_digest=run.forward_digest,
        detect_digest=run.detect_digest,
        dataset=f"{unit.data.name} {unit.split}",
        eval_data=run.eval_data,
        num_images=len(dataset),
        box=scores.box,
        mask=scores.mask,
        parameters=detector.num_parameters,
        iterations=training.iterations,
        train_seconds=training.seconds,
        train_images_per_second=training.images_per_second,
        skipped_annotations=training.skipped_annotations,
        peak_memory_mb=training.peak_memory_mb,
        predictions=str(folder.relative_to(place.work_dir)),
        environment=environment(place.device),
        time=now(),
        proxy=unit.proxy,
        scoring=engine_name(place.scoring),
        eval_batch=batch_size_of(folder),
        macs=macs_or_none(run, title=unit.title),
        devices=training.devices,
    )


def predict_unit(unit: Unit, detector: Detector, place: Workplace) -> None:
    """Leave the predictions of a unit's own detector on disk, unless they are there.

    Raises:
        ArmError: an image cannot be read.
    """
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(unit.run.detect_digest)
    title = f"evaluate {unit.title}"
    if place.devices > 1:
        predict_sharded(
            unit.run,
            unit.data,
            unit.split,
            dataset,
            folder,
            file=place.weights(unit.run),
            weights=unit.run.train_digest,
            batch_size=place.eval_batch,
            device=place.device,
            devices=place.devices,
            title=title,
        )
        return
    predict(
        detector,
        dataset,
        folder,
        digest=unit.run.detect_digest,
        weights=unit.run.train_digest,
        batch_size=place.eval_batch,
        processes=place.encoders,
        title=title,
    )
