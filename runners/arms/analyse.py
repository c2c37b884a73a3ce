"""What is computed from scored predictions: AP on resampled images, and types of error."""

import logging
from pathlib import Path

from runners.arms.evaluate import find_pass, is_predicted, predict_alone
from runners.arms.external.predict import predict_external
from runners.arms.external.records import bad_results
from runners.arms.oracles.ladder import oracle_ladder
from runners.evaluation.error_types import error_gains
from runners.evaluation.files import BOX_FILE, MASK_FILE, PredictionKey, batch_size_of, is_complete
from runners.evaluation.score import resample, score_predictions
from runners.evaluation.stored_pass import each_candidates, lowest_score
from runners.system.environment import environment, now
from runners.units.unit import ExternalUnit, Unit, Work, identity
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Errors
from yolact_bench.results.resamples import read_resamples
from yolact_bench.statistics.matches import FILES

log = logging.getLogger(__name__)


def ensure_resampled(unit: Work, place: Workplace, *, sizes: bool) -> None:
    """Leave work/resamples/<detect_digest>.npz, with AP by object size if `sizes`.

    Without it a table has differences but no intervals. Deleted predictions or matches are made
    again.

    Raises:
        ArmError: an image cannot be read.
    """
    out = place.resamples(unit.detect_digest)
    if _has_resamples(out, sizes=sizes):
        return
    folder = place.predictions(unit.detect_digest)
    if not all((folder / name).is_file() for name in FILES.values()):
        folder = _predict(unit, place)
        dataset = place.datasets.open(unit.data, unit.split)
        score_predictions(dataset, folder, scoring=place.scoring, evaluation=unit.evaluation)
    resample(folder, out, eval_data=unit.eval_data, areas=sizes)


def analyse_errors(unit: Work, place: Workplace) -> Errors:
    """Return the types of error of a trained unit and its oracle ladder.

    The types need the unit's predictions alone; deleted ones are made again. The ladder starts
    from a stored forward pass that serves the unit, or else from the network. There is none of the
    result files of another framework, which are without candidates, nor of predictions whose
    training has been repeated since: its weights would be others than those of the types.

    Raises:
        ArmError: an image cannot be read, or a score is not finite.
    """
    folder = _predict(unit, place)
    truth = place.datasets.open(unit.data, unit.split).ground_truth()
    return Errors(
        **identity(unit),
        eval_data=unit.eval_data,
        box=error_gains(truth, folder / BOX_FILE, kind="bbox", evaluation=unit.evaluation),
        mask=error_gains(truth, folder / MASK_FILE, kind="segm", evaluation=unit.evaluation),
        oracles=_ladder(unit, place, batch_size_of(folder)) if isinstance(unit, Unit) else {},
        environment=environment(place.device),
        time=now(),
    )


def _predict(unit: Work, place: Workplace) -> Path:
    if isinstance(unit, ExternalUnit):
        with bad_results():
            return predict_external(unit, place)
    assert isinstance(unit, Unit)
    folder = place.predictions(unit.detect_digest)
    num_images = len(place.datasets.open(unit.data, unit.split))
    # Those that were scored, even if the training has been repeated since.
    if is_complete(folder, PredictionKey(unit.detect_digest, unit.train_digest, num_images)):
        return folder
    return predict_alone(unit, place)


def _has_resamples(path: Path, *, sizes: bool) -> bool:
    try:
        columns, _ = read_resamples(path)
    except SpecError:
        return False
    return not sizes or "mask_ap_small" in columns


def _ladder(unit: Unit, place: Workplace, batch_size: int) -> dict[str, float | None]:
    """Return the oracle ladder from candidates in the batches of the predictions.

    A stored pass in other batches, whose last bits differ, is not used.
    """
    if not is_predicted(unit, place):
        log.warning(
            "%s: trained again since these predictions, so the errors have no oracle ladder; for "
            "predictions of the new weights, delete %s and the unit's lines in results.jsonl",
            *(unit.title, place.predictions(unit.detect_digest)),
        )
        return {}
    detector = trained_detector(unit.run, place)
    dataset = place.datasets.open(unit.data, unit.split)
    images = range(len(dataset))
    stored, needed = find_pass(unit, place), lowest_score(unit.run)
    if (
        stored is not None
        and stored.batch_size == batch_size
        and (needed is not None and stored.min_score <= needed)
    ):
        candidates = (stored.candidates(index, detector.device)[0] for index in images)
    else:
        each = each_candidates(detector, dataset, images, batch_size)
        candidates = (of_image for _, of_image, _ in each)
    return oracle_ladder(
        detector,
        dataset,
        candidates,
        evaluation=unit.evaluation,
        title=f"oracles {unit.title}",
    )
