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

    `attempt` continues from its own checkpoint. Workers die of a lack of (shared) memory, or are
    killed; the batch is not at fault, as the next worker shows.

    Raises:
        ArmError: workers died in the last attempt, too.
    """
    for retry in range(RETRIES + 1):
        try:
            return attempt()
        except RuntimeError as error:
            if "DataLoader worker (pid" not in str(error):
                raise
            reason = " ".join(str(error).split()).rstrip(".")
            if retry == RETRIES:
                raise ArmError(
                    "worker_died",
                    f"{reason}. This was attempt {retry + 1}; use --workers 0, or more memory",
                ) from error
            log.warning("%s: %s. Continuing from the last checkpoint.", title, reason)
    raise AssertionError("the loop returns or raises")
