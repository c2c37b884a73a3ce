"""log.jsonl of a training: a line every few iterations, each once, also after interruptions."""

import json
from collections.abc import Mapping
from pathlib import Path

from yolact_bench.results.files import sync, write_atomically
from yolact_bench.training_log import read_log


class TrainingLog:
    """Losses and validations by iteration, appended as they come.

    Lines are not synced one by one. A checkpoint syncs the log first, so that lines that a crash
    loses or tears lie beyond it, and are trained and written again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, line: Mapping[str, object]) -> None:
        """Write a line, which a crash may still lose."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        """Make what is written so far survive a crash."""
        if self._path.is_file():
            sync(self._path)

    def cut(self, iteration: int) -> None:
        """Drop lines beyond `iteration`, where a training resumes, and a torn line."""
        if self._path.is_file():
            entries = read_log(self._path)
            before = (line for line in entries if int(str(line["iteration"])) <= iteration)
            write_atomically(self._path, "".join(f"{json.dumps(line)}\n" for line in before))

    def validated(self, iteration: int) -> bool:
        """Return whether a validation after that iteration is in the log."""
        entries = read_log(self._path)
        return any("validation" in line and line["iteration"] == iteration for line in entries)
