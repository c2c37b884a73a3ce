"""How another process asks a training to end: a file in its checkpoint folder.

Who asked removes the file again; until then the training would stop after its next iteration too.
"""

import time
from pathlib import Path

from yolact_bench.results.files import write_atomically

STOP_FILE = "stop"
_SECONDS_BETWEEN_LOOKS = 1.0


def ask_to_stop(folder: Path) -> None:
    """Ask the training of a checkpoint folder to end after the iteration at hand."""
    write_atomically(folder / STOP_FILE, "")


def was_asked(folder: Path) -> bool:
    """Return whether the training of a checkpoint folder is asked to end."""
    return (folder / STOP_FILE).exists()


def clear(folder: Path) -> None:
    """Take the request back: the training may go on when it is started again."""
    (folder / STOP_FILE).unlink(missing_ok=True)


class StopFile:
    """The file as a training sees it: looked for now and then, as shared disks are slow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next_look = 0.0

    def asked(self) -> bool:
        """Return whether the file was there at the last look, a second ago at most."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _SECONDS_BETWEEN_LOOKS
        return was_asked(self._folder)
