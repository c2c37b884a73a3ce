"""The identity of the images of a split: digests of their files, looked at once a command."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar, cast

from yolact_bench.image_files.names import find_names
from yolact_bench.image_files.scan import scan_images

T = TypeVar("T")
# Yields what is called with the number of finished images, of a title and a total.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

_SHOWN = 1000  # images whose scan may take long enough to be watched


def _in_silence(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda done: None)


class _Look:
    """What was seen in one command, so that all of its arms have the same data."""

    def __init__(self, progress: Progress = _in_silence) -> None:
        self.progress = progress
        self.seen: dict[object, object] = {}


_look: ContextVar[_Look | None] = ContextVar("look", default=None)


@contextmanager
def look_once(progress: Progress = _in_silence) -> Iterator[None]:
    """Look at no image file twice until the block ends; elsewhere every question looks again."""
    token = _look.set(_Look(progress))
    try:
        yield
    finally:
        _look.reset(token)


def recall(key: object, make: Callable[[], T]) -> T:
    """Return `make()`, in the block of `look_once` once for each key."""
    look = _look.get()
    if look is None:
        return make()
    if key not in look.seen:
        look.seen[key] = make()
    return cast(T, look.seen[key])


def images_digest(
    folder: Path, names: Sequence[str], *, cache: Path | None, whole: bool = False
) -> str:
    """Return a SHA-256 of the names and contents of image files.

    Of each file its size and its first and last 4 KiB count, or all of it with `whole`, for which
    no cache is asked. Where it lies and when it was written never count; one that cannot be read
    counts as such.
    """
    look = _look.get() or _Look()
    shown = whole or len(names) >= _SHOWN
    watch = look.progress(f"images of {folder.name}", len(names)) if shown else nullcontext(None)
    files = find_names(folder, names).files
    with watch as report:
        scan = scan_images(
            folder, files, cache=None if whole else cache, hash_images=whole, report=report
        )
    digest = hashlib.sha256()
    for name, file in zip(names, scan, strict=True):
        digest.update(
            f"{name}\0{file.content if whole else file.sample}\n".encode(errors="surrogatepass")
        )
    return digest.hexdigest()
