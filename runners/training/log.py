"""log.jsonl of a training: a line every few iterations, each once, however often it is resumed."""

import json
from collections.abc import Mapping
from pathlib import Path

from yolact_bench.results.files import sync, write_atomically


class TrainingLog:
    """Losses and validations by iteration, appended as they come.

    Lines are not forced to the disk one by one. What a crash takes or tears lies beyond the last
    checkpoint, as that syncs the log first, and is trained and written again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, line: Mapping[str, object]) -> None:
        """Add a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        """Force what stands to the disk."""
        if self._path.is_file():
            sync(self._path)

    def cut(self, iteration: int) -> None:
        """Drop what was written beyond `iteration`, where a training goes on, and a torn line."""
        if self._path.is_file():
            kept = [
                text for text, line in self._lines() if int(str(line["iteration"])) <= iteration
            ]
            write_atomically(self._path, "".join(f"{text}\n" for text in kept))

    def validated(self, iteration: int) -> bool:
        """Return whether a validation after that iteration is in the log."""
        lines = self._lines() if self._path.is_file() else []
        return any("validation" in line and line["iteration"] == iteration for _, line in lines)

    def _lines(self) -> list[tuple[str, Mapping[str, object]]]:
        """Return the lines that are whole: a kill may tear the last, a power loss others too."""
        found: list[tuple[str, Mapping[str, object]]] = []
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            if isinstance(line, dict) and "iteration" in line:
                found.append((text, line))
        return found
