"""What an annotation file lists: its classes in the order of their ids, and its image files."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from yolact_bench.coco_content import read_coco
from yolact_bench.dataset_spec.categories import class_names
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.file_cache import Entry, remember

_VERSION = 3  # of what is kept


class Listing(NamedTuple):
    """The names in an annotation file."""

    classes: tuple[str, ...]  # in the order of their ids
    images: tuple[str, ...]  # as the file writes them, in its order
    mistakes: str  # in its categories


def read_listing(annotations: Path, cache: Path | None) -> Listing:
    """Return what a file lists, read once while its time and size stay the same.

    Raises:
        SpecError: not a JSON object.
    """
    stat = annotations.stat()
    return _listing(annotations, stat.st_ctime_ns, stat.st_size, cache)


@lru_cache(maxsize=64)
def _listing(annotations: Path, ctime_ns: int, size: int, cache: Path | None) -> Listing:
    entry = remember(cache, "listing", annotations, lambda: _read(annotations), version=_VERSION)
    classes, images, mistakes = entry.facts
    return Listing(tuple(classes), tuple(images), mistakes)


def read_classes(annotations: Path, cache: Path | None) -> tuple[str, ...]:
    """Return the classes that a file lists.

    Raises:
        SpecError: not a JSON object, or categories that must be corrected.
    """
    names = read_listing(annotations, cache)
    if names.mistakes:
        raise SpecError(names.mistakes)
    return names.classes


def _read(annotations: Path) -> Entry:
    content, mistakes = read_coco(annotations), Mistakes(annotations)
    classes, fault = class_names(content, mistakes), ""
    try:
        mistakes.raise_any()
    except SpecError as error:
        fault = str(error)
    return Entry(facts=[classes, _file_names(content), fault], arrays={})


def _file_names(content: Mapping[str, Any]) -> list[str]:
    """The names that are there; what is wrong with others is said when the file is opened."""
    images = content.get("images")
    entries = images if isinstance(images, list) else []
    names = (one.get("file_name") for one in entries if isinstance(one, Mapping))
    return [name for name in names if isinstance(name, str)]
