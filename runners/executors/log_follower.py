"""The curves of a training that runs elsewhere, read from its log."""

import os
from pathlib import Path

from yolact_bench.text_file import open_regular
from yolact_bench.training_log import LoggedPoint, entry_points, log_entry


class LogFollower:
    """What is new in the log.jsonl of a training, under the names that `on_log` has.

    A training that is resumed cuts its log and writes some lines again: each iteration
    is returned once. Lines older than the follower are included.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0, 0  # which file, as a cut writes another; and up to which byte
        self._last = {"train": -1, "val": -1}  # iterations of the last points that were returned

    def new(self) -> list[LoggedPoint]:
        """Return the points since the last look, in order; a line not yet whole comes later."""
        entries = filter(None, map(log_entry, self._whole_lines()))
        return [one for one in map(entry_points, entries) if one is not None and self._is_new(one)]

    def _whole_lines(self) -> list[bytes]:
        """The lines since the last look, or all where the file is another or shorter."""
        try:
            with open_regular(self._path) as file:
                facts = os.fstat(file.fileno())
                read, position = self._read
                begin = position if read == facts.st_ino and position <= facts.st_size else 0
                file.seek(begin)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read = facts.st_ino, begin + len(whole)
        return whole.splitlines()

    def _is_new(self, points: LoggedPoint) -> bool:
        iteration, values = points
        kind = "train" if "train/loss" in values else "val"
        new = iteration > self._last[kind]
        self._last[kind] = max(self._last[kind], iteration)
        return new
