"""log.jsonl of a training: a line every few iterations, each once, also after interruptions."""

import json
from collections.abc import Mapping
from pathlib import Path

from yolact_bench.results.files import sync, write_atomically


class TrainingLog:
    """Losses and validations by iteration, appended as they come.

    Lines are not synced one by one. A checkpoint syncs the log first, so that lines that a crash
    loses or tears lie beyond it, and are trained and written again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, line: Mapping[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        if self._path.is_file():
            sync(self._path)

    def cut(self, iteration: int) -> None:
        """Drop lines beyond `iteration`, where a training resumes, and a torn line."""
        if self._path.is_file():
            lines = self._lines()
            before = (text for text, line in lines if int(str(line["iteration"])) <= iteration)
            write_atomically(self._path, "".join(f"{text}\n" for text in before))

    def validated(self, iteration: int) -> bool:
        """Return whether a validation after that iteration is in the log."""
        lines = self._lines() if self._path.is_file() else []
        return any("validation" in line and line["iteration"] == iteration for _, line in lines)

    def _lines(self) -> list[tuple[str, Mapping[str, object]]]:
        """Return the lines that are whole: a kill may tear the last, a power loss others too."""
        lines: list[tuple[str, Mapping[str, object]]] = []
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            if isinstance(line, dict) and "iteration" in line:
                lines.append((text, line))
        return lines
