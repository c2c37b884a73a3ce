"""The files of a report: writing them, and comparing them with what they would be now."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from yolact_bench.results.files import write_atomically

Figures = Mapping[str, Mapping[str, bytes]]  # stem → suffix → content


def write_files(folder: Path, texts: Mapping[str, str], figures: Figures) -> None:
    """Write texts and figures, every file whole or not at all."""
    files: dict[str, str | bytes] = {
        f"figures/{stem}.{kind}": data
        for stem, kinds in figures.items()
        for kind, data in kinds.items()
    }
    files |= texts
    for path, content in files.items():
        write_atomically(folder / path, content)


def svg_texts(figures: Figures) -> dict[str, str]:
    """Return stem → SVG, for a page that contains its figures."""
    return {stem: kinds["svg"].decode() for stem, kinds in figures.items()}


def compare_files(
    folder: Path, texts: Mapping[str, str], stems: Iterable[str], *others: str
) -> tuple[str, ...]:
    """Return how the files on disk differ from `texts`; empty if they agree.

    Figures and `others` are compared by presence only: they depend on the version of matplotlib.
    """
    differences = []
    for path, expected in texts.items():
        if not (folder / path).exists():
            differences.append(f"{path}: missing")
            continue
        current = (folder / path).read_text()
        lines = difflib.unified_diff(
            current.splitlines(), expected.splitlines(), f"{path} on disk", f"{path} rebuilt", n=0
        )
        if current != expected:
            differences.append("\n".join(line.rstrip("\n") for line in lines))
    paths = [*others, *(f"figures/{stem}.{kind}" for stem in stems for kind in ("svg", "png"))]
    return (*differences, *(f"{path}: missing" for path in paths if not (folder / path).exists()))
