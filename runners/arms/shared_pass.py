"""Predictions of several units from one forward pass, stored and replayed."""

from collections.abc import Sequence

from runners.arms.evaluate import predict_unit
from runners.evaluation.files import is_complete
from runners.evaluation.replay import Variant, replay
from runners.evaluation.stored_pass import StoredPass, lowest_score, open_pass, store_pass
from runners.units.unit import Unit
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.build import build_detector
from yolact_bench.data import Dataset


def predict_together(units: Sequence[Unit], place: Workplace) -> None:
    """Leave the predictions of units that share a forward digest on disk, from one pass.

    The pass is stored where more than one unit needs it; a unit alone is better served by the
    whole detector, as is one that cannot be replayed. What is on disk already is not made again.

    Raises:
        ArmError: an image cannot be read, or the pass is larger than may be stored.
    """
    dataset = place.datasets.open(units[0].data, units[0].split)
    pending = [unit for unit in units if replayable(unit) and not _predicted(unit, dataset, place)]
    if not pending or not place.max_store:
        return
    run = units[0].run
    stored = _stored(units[0], dataset, place)
    threshold = min(score for u in pending if (score := lowest_score(u.run)) is not None)
    if stored is None or stored.min_score > threshold:
        if len(pending) == 1:
            return
        stored = keep_pass(units[0], place, min_score=threshold)
    network = trained_detector(run, place).network
    variants = [
        Variant(
            detector=build_detector(unit.run, network, device=place.device),
            folder=place.predictions(unit.run.detect_digest),
            digest=unit.run.detect_digest,
            title=unit.title,
        )
        for unit in pending
    ]
    replay(stored, variants, dataset, weights=run.train_digest)


def predict_alone(unit: Unit, place: Workplace) -> None:
    """Leave the predictions of one unit on disk: from a stored pass if there is one that serves.

    Raises:
        ArmError: as `predict_together`.
    """
    predict_together([unit], place)
    if not _predicted(unit, place.datasets.open(unit.data, unit.split), place):
        predict_unit(unit, trained_detector(unit.run, place), place)


def keep_pass(unit: Unit, place: Workplace, *, min_score: float) -> StoredPass:
    """Return the stored pass of a unit with the candidates above `min_score`, made if need be.

    Raises:
        ArmError: as `predict_together`.
    """
    dataset = place.datasets.open(unit.data, unit.split)
    stored = _stored(unit, dataset, place)
    if stored is not None:
        if stored.min_score <= min_score:
            return stored
        min_score = min(min_score, stored.min_score)
    return store_pass(
        trained_detector(unit.run, place),
        dataset,
        place.predictions(unit.run.forward_digest),
        digest=unit.run.forward_digest,
        weights=unit.run.train_digest,
        min_score=min_score,
        max_bytes=place.max_store,
        title=f"forward pass {unit.title}",
        batch_size=place.eval_batch,
    )


def replayable(unit: Unit) -> bool:
    """Return whether the unit's detections can be had from stored candidates."""
    return lowest_score(unit.run) is not None


def _predicted(unit: Unit, dataset: Dataset, place: Workplace) -> bool:
    return is_complete(
        place.predictions(unit.run.detect_digest),
        digest=unit.run.detect_digest,
        weights=unit.run.train_digest,
        num_images=len(dataset),
    )


def _stored(unit: Unit, dataset: Dataset, place: Workplace) -> StoredPass | None:
    return open_pass(
        place.predictions(unit.run.forward_digest),
        digest=unit.run.forward_digest,
        weights=unit.run.train_digest,
        num_images=len(dataset),
    )
