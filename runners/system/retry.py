"""A second and a third attempt, where what failed was the machine and not the arm."""

import logging
from collections.abc import Callable
from typing import TypeVar

from yolact_bench.errors import ArmError

log = logging.getLogger(__name__)

RETRIES = 2

T = TypeVar("T")


def retry_dead_workers(attempt: Callable[[], T], *, title: str) -> T:
    """Return what `attempt` returns, called again where a loader's worker died, twice at most.

    `attempt` goes on from its own checkpoint. Workers die of a lack of (shared) memory, or
    because somebody killed them; the batch itself is not at fault, as the worker that takes its
    place shows.

    Raises:
        ArmError: workers died in the last attempt, too.
    """
    for retry in range(RETRIES + 1):
        try:
            return attempt()
        except RuntimeError as error:
            if not is_dead_worker(error):
                raise
            told = " ".join(str(error).split()).rstrip(".")
            if retry == RETRIES:
                raise ArmError(
                    "worker_died",
                    f"{told}. This was attempt {retry + 1}; give --workers 0, or more memory",
                ) from error
            log.warning("%s: %s. Going on from the last checkpoint.", title, told)
    raise AssertionError("the loop returns or raises")


def is_dead_worker(error: BaseException) -> bool:
    """Return whether PyTorch says that a worker process of a loader is gone."""
    return isinstance(error, RuntimeError) and "DataLoader worker (pid" in str(error)
