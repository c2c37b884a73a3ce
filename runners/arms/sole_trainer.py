"""One training at a time in a checkpoint folder, whoever started it."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from runners.system.ranks import Ranks
from runners.workdir.lock import hold_lock, lock_holder

log = logging.getLogger(__name__)

PATIENCE = 180.0  # seconds: a worker that lost its coordinator may be writing its last checkpoint


@contextmanager
def sole_trainer(folder: Path, title: str, ranks: Ranks) -> Iterator[None]:
    """Train in `folder` alone until the block ends; the first of several ranks stands for all.

    Workers of executors do not hold the work directory's lock. One of an earlier run that is
    still ending is waited for.

    Raises:
        SpecError: another process trains there, and goes on doing so.
    """
    other = lock_holder(folder) if ranks.first and folder.is_dir() else None
    if other is not None:
        log.info("%s: waits for process %d on %s, which is at it", title, other.pid, other.host)
    with held_by_first(ranks, hold_lock(folder, command=title, patience=PATIENCE)):
        yield


@contextmanager
def held_by_first(ranks: Ranks, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Let the first rank hold a lock until the block ends; the others wait until it has it.

    Raises:
        SpecError: it cannot have it; on all ranks.
    """
    with ExitStack() as stack:
        ranks.do_on_first(lambda: stack.enter_context(lock))
        yield
