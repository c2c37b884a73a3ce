"""What is computed from scored predictions: AP on resampled images, and types of error."""

from pathlib import Path

from runners.arms.error_analysis import analyse
from runners.arms.shared_pass import predict_alone
from runners.evaluation.resample import resample
from runners.evaluation.score import evaluate
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Errors
from yolact_bench.results.store import Store
from yolact_bench.statistics.matches import FILES
from yolact_bench.statistics.resamples import read_resamples


def ensure_resampled(unit: Unit, place: Workplace, *, sizes: bool) -> None:
    """Leave work/resamples/<detect_digest>.npz, with AP by object size if `sizes`.

    Without it a table has differences but no intervals. Predictions or matches that have been
    deleted since are made again.

    Raises:
        ArmError: an image cannot be read.
    """
    out = place.resamples(unit.run)
    if has_resamples(out, sizes=sizes):
        return
    folder = place.predictions(unit.run.detect_digest)
    if not all((folder / name).is_file() for name in FILES.values()):
        predict_alone(unit, place)
        dataset = place.datasets.open(unit.data, unit.split)
        evaluate(dataset, folder, scoring=place.scoring)
    resample(folder, out, eval_data=unit.run.eval_data, areas=sizes)


def ensure_errors(unit: Unit, place: Workplace, store: Store) -> Errors:
    """Return the error analysis of a unit, made and recorded unless its record is there.

    Raises:
        ArmError: an image cannot be read.
    """
    errors = store.errors(unit.run.detect_digest)
    if errors is None:
        errors = analyse(unit, place)
        store.add(errors)
    return errors


def has_resamples(path: Path, *, sizes: bool) -> bool:
    """Return whether a file holds AP on resampled images, by object size too if `sizes`."""
    try:
        columns = read_resamples(path)
    except SpecError:
        return False
    return not sizes or "mask_ap_small" in columns
