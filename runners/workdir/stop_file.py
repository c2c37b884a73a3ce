"""A request to stop a training from elsewhere: a file beside its checkpoint.

A signal reaches a process of this machine alone. The file reaches a training on any
machine that shares the work directory.
"""

import time
from pathlib import Path

STOP_FILE = "stop"
_SECONDS_BETWEEN_LOOKS = 1.0  # a shared file system answers slowly


def request_stop(folder: Path) -> None:
    """Ask the training in a checkpoint folder to end with a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP_FILE).touch()


def has_stop_request(folder: Path) -> bool:
    """Return whether the training in a checkpoint folder is to end."""
    return (folder / STOP_FILE).exists()


def clear_stop_request(folder: Path) -> None:
    """Withdraw the request, so that the training can continue."""
    (folder / STOP_FILE).unlink(missing_ok=True)


class StopFileWatch:
    """Looks for the file at most once a second, however often it is called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked = float("-inf")
        self._requested = False

    def __call__(self) -> bool:
        """Return whether the training is to end."""
        now = time.monotonic()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            self._requested = has_stop_request(self._folder)
        return self._requested
