"""Images that are there twice: in one split, or in the training and in another split."""

import filecmp
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.findings import LEAK, SAME_IMAGE, Findings

# Pairs of files that are compared byte by byte; of more, the size and both ends decide.
_MOST_COMPARED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """The images of a split: ids, files, and digests of their sizes and ends."""

    ids: Sequence[int]
    folder: Path
    names: Sequence[str]
    samples: Sequence[int]  # the first 8 bytes

    def path(self, place: int) -> Path:
        """Return the file of an image."""
        return self.folder / self.names[place]


def note_copies(files: ImageFiles, findings: Findings) -> None:
    """Add each image of a split that another one of it is too."""
    first: dict[int, int] = {}
    places = [first.setdefault(sample, place) for place, sample in enumerate(files.samples)]
    pairs = ((later, earlier) for later, earlier in enumerate(places) if later != earlier)
    for later, earlier in _equal_pairs(files, files, pairs):
        text = _text(files.path(later), files.path(earlier), files.ids[earlier])
        findings.add(SAME_IMAGE, f"image {files.ids[later]}", text)


def note_leaks(training: ImageFiles, others: ImageFiles, findings: Findings) -> None:
    """Add each image of another split that is a training image too."""
    places = {sample: place for place, sample in enumerate(training.samples)}
    pairs = ((n, places[sample]) for n, sample in enumerate(others.samples) if sample in places)
    for place, match in _equal_pairs(others, training, pairs):
        text = _text(others.path(place), training.path(match), training.ids[match])
        findings.add(LEAK, f"image {others.ids[place]}", f"{text} of the training")


def _equal_pairs(
    files: ImageFiles, others: ImageFiles, pairs: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of places whose files hold the same bytes."""
    for number, (place, match) in enumerate(pairs):
        one, other = files.path(place), others.path(match)
        if number >= _MOST_COMPARED or one == other or filecmp.cmp(one, other, shallow=False):
            yield place, match


def _text(path: Path, other: Path, other_id: int) -> str:
    if path == other:
        return f"{path.name} is image {other_id}"
    return f"{path.name} has the bytes of {other.name}, image {other_id}"
