"""The error analysis of one unit: what it loses AP to, and what is in the way of more."""

from collections.abc import Callable

import torch

from runners.arms.shared_pass import predict_alone
from runners.evaluation.error_types import error_gains
from runners.evaluation.files import BOX_FILE, MASK_FILE
from runners.evaluation.oracles import oracle_ladder
from runners.evaluation.stored_pass import lowest_score, open_pass
from runners.system.environment import environment, now
from runners.units.unit import Unit
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.data import Dataset
from yolact_bench.detect.pipeline import Candidates, candidates_of
from yolact_bench.detector import Detector
from yolact_bench.results.record import Errors


def analyse(unit: Unit, place: Workplace, *, oracles: bool = True) -> Errors:
    """Return the types of error of a trained unit and, with `oracles`, its oracle ladder.

    The types need the unit's predictions alone, which are made again where they have been
    deleted. The ladder starts from the stored forward pass, or from the network where none is
    stored that serves this unit.

    Raises:
        ArmError: an image cannot be read, or a score is not finite.
    """
    run = unit.run
    predict_alone(unit, place)
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(run.detect_digest)
    truth = dataset.ground_truth()
    return Errors(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=run.train_digest,
        detect_digest=run.detect_digest,
        eval_data=run.eval_data,
        box=error_gains(truth, folder / BOX_FILE, kind="bbox"),
        mask=error_gains(truth, folder / MASK_FILE, kind="segm"),
        oracles=_ladder(unit, place, dataset) if oracles else {},
        environment=environment(place.device),
        time=now(),
    )


def _ladder(unit: Unit, place: Workplace, dataset: Dataset) -> dict[str, float]:
    detector = trained_detector(unit.run, place)
    candidates = _candidates(unit, place, dataset, detector)
    return oracle_ladder(detector, dataset, candidates, title=f"oracles {unit.title}")


def _candidates(
    unit: Unit, place: Workplace, dataset: Dataset, detector: Detector
) -> Callable[[int], Candidates]:
    """Return where the candidates of an image come from; both ways give the same detections."""
    run, needed = unit.run, lowest_score(unit.run)
    stored = open_pass(
        place.predictions(run.forward_digest),
        digest=run.forward_digest,
        weights=run.train_digest,
        num_images=len(dataset),
    )
    if stored is not None and needed is not None and stored.min_score <= needed:
        return lambda index: stored.candidates(index, detector.device)[0]

    @torch.inference_mode()
    def from_network(index: int) -> Candidates:
        batch = detector.preprocess([dataset.image(index)])
        return candidates_of(detector.predict(batch), 0)

    return from_network
