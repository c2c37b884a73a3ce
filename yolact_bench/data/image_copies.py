"""Images that are there twice: in one split, or in the training and in another split."""

import filecmp
from collections.abc import Iterable, Iterator, Sequence

from yolact_bench.data.split_files import ImageFiles
from yolact_bench.findings import LEAK, SAME_IMAGE, Findings

# Pairs of files that are compared byte by byte; of more, the size and both ends decide.
_MOST_COMPARED = 1000


def note_copies(files: ImageFiles, ids: Sequence[int], findings: Findings) -> None:
    """Add each image of a split that another one of it is too."""
    first: dict[int, int] = {}
    places = [first.setdefault(sample, place) for place, sample in enumerate(files.samples)]
    pairs = ((later, earlier) for later, earlier in enumerate(places) if later != earlier)
    for later, earlier in _equal_pairs(files, files, pairs):
        one, other = files.path(later), files.path(earlier)
        text = f"the file {one.name}" if one == other else f"{one.name} is a copy of {other.name}"
        findings.add(SAME_IMAGE, f"image {ids[later]}", f"{text}, image {ids[earlier]}")


def note_leaks(
    training: ImageFiles, others: ImageFiles, ids: Sequence[int], findings: Findings
) -> None:
    """Add each image of another split that is a training image too."""
    places = {sample: place for place, sample in enumerate(training.samples) if sample}
    pairs = ((n, places[sample]) for n, sample in enumerate(others.samples) if sample in places)
    for place, match in _equal_pairs(others, training, pairs):
        one, other = others.path(place), training.path(match)
        text = f"{one.name}" if one == other else f"{one.name} is a copy of {other.name}"
        findings.add(LEAK, f"image {ids[place]}", text)


def _equal_pairs(
    files: ImageFiles, others: ImageFiles, pairs: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of places whose files hold the same bytes."""
    for number, (place, match) in enumerate(pairs):
        one, other = files.path(place), others.path(match)
        if number >= _MOST_COMPARED or one == other or filecmp.cmp(one, other, shallow=False):
            yield place, match
