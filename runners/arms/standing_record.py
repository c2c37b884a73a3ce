"""The record that stands for a run: none does whose weights have been replaced since."""

import logging
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from runners.evaluation.files import META_FILE, read_meta
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)

# A file that lay there so long before it was scored is not read again: any way of replacing it
# changes the time that its system keeps. Clocks of machines differ by less.
_BEFORE = timedelta(seconds=60)


def standing_accuracy(run: Run, place: Workplace) -> Accuracy | None:
    """Return the latest accuracy of a run, unless its weights are others by now.

    Without weights the record stands: they may have been removed. One of an earlier version that
    does not say which they were stands too.
    """
    accuracy = place.store.accuracy(run.detect_digest)
    if accuracy is None or _stands(accuracy, run, place):
        return accuracy
    _warn_once(accuracy.arm, place.weights(run), accuracy.time)
    return None


def _stands(accuracy: Accuracy, run: Run, place: Workplace) -> bool:
    file = place.weights(run)
    if not file.is_file() or _is_older(file, accuracy.time):
        return True
    scored = accuracy.weights_sha256 or _predicted_with(place.work_dir / accuracy.predictions)
    if not scored:
        return True
    try:
        return place.weights_sha256(run) == scored
    except SpecError:  # damaged: it is not what was scored, and loading it says so
        return False


def _is_older(file: Path, time: str) -> bool:
    then = datetime.fromisoformat(time).timestamp()
    return file.stat().st_ctime < then - _BEFORE.total_seconds()


def _predicted_with(folder: Path) -> str:
    """Return the hash of weights that predictions note, "" where they do not or are gone."""
    meta = read_meta(folder / META_FILE, {}) or {}
    return str(meta.get("weights_sha256", ""))


@lru_cache(maxsize=1024)
def _warn_once(arm: str, file: Path, time: str) -> None:
    log.warning("%s: %s has been replaced since it was scored (%s)", arm, file, time)
