"""What killed commands left half-written in a work directory, removed by the next that writes."""

import logging
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runners.workdir.lock import Holder, hold_lock, lock_holder
from yolact_bench.errors import SpecError
from yolact_bench.results.files import is_temporary
from yolact_bench.work_names import CACHE, CHECKPOINTS, PREDICTIONS, REPORTS, RESAMPLES, SWEEPS

log = logging.getLogger(__name__)

FRESH_SECONDS = 3600.0  # a training writes its checkpoint every two minutes
# Written by holders of the lock alone, and their workers.
_OURS = (PREDICTIONS, RESAMPLES, "data", "external")
# Written by commands that only read results, too; and not below, where there are many folders.
_SHARED = (CACHE, REPORTS, SWEEPS)
PLACES = (CHECKPOINTS, *_OURS, *_SHARED)


@contextmanager
def hold_work_dir(work_dir: Path, *, command: str) -> Iterator[Holder]:
    """Hold the lock of a work directory until the block ends, without earlier holders' leftovers.

    Raises:
        SpecError: as `hold_lock`.
    """
    with hold_lock(work_dir, command=command) as holder:
        removed = sum(map(_remove, _leftovers(work_dir)))
        if removed:
            log.info("removed %d temporary files of commands that were killed", removed)
        yield holder


def _leftovers(work_dir: Path) -> Iterator[Path]:
    """Yield temporary files and folders, where they can be those of no process that is alive."""
    before = time.time() - FRESH_SECONDS
    places = [(_temporaries(work_dir / place), place in _OURS) for place in (*_OURS, *_SHARED)]
    places.append((filter(is_temporary, _entries(work_dir)), False))
    for folder in _entries(work_dir / CHECKPOINTS):
        places.append((_temporaries(folder), not _is_training(folder)))
    for files, is_ours in places:
        yield from (one for one in files if is_ours or _time(one) < before)


def _is_training(folder: Path) -> bool:
    """Return whether a process of another machine may still write a checkpoint there."""
    try:
        return folder.is_dir() and lock_holder(folder) is not None
    except (SpecError, OSError):
        return True


def _time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # its process is alive and has finished it
        return math.inf


def _temporaries(place: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(place):
        hidden = [Path(folder, name) for name in (*folders, *files) if name.startswith(".")]
        yield from filter(is_temporary, hidden)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> bool:
    """Remove a file or folder and return whether that was possible; it does no harm."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    return True
