"""The headers of many image files, read by threads and kept in a cache."""

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from yolact_bench.image_files.header import read_header
from yolact_bench.image_files.header_fields import UNKNOWN, Header
from yolact_bench.image_files.scan_cache import Row, load_rows, save_rows
from yolact_bench.image_files.source import FileSource

_THREADS = 16  # they wait for disks more than they compute
_CHUNK = 256  # files a task
_FEWEST = 256  # files that are kept: fewer are read again in less time than a cache is worth
_BLOCK = 1 << 20

Report = Callable[[int], None]  # is called with the number of files that are finished


class ImageFile(NamedTuple):
    """What is known of an image file without decoding it. Neither its name nor its time counts."""

    fault: str = ""  # why there is no image: "does not exist", "0 bytes", "truncated", …
    size: int = 0  # bytes
    sample: str = ""  # SHA-256 of size, first and last 4 KiB
    content: str = ""  # SHA-256 of all bytes, "" if not wanted
    header: Header = UNKNOWN

    @property
    def is_deep(self) -> bool:
        """Whether its values have more bits than are decoded."""
        return self.header.bits > 8


def scan_images(
    folder: Path,
    names: Sequence[str],
    *,
    cache: Path | None,
    hash_images: bool = False,
    report: Report | None = None,
) -> list[ImageFile]:
    """Return what the headers of these files of a folder say, in their order.

    What is in the cache is taken from there while a file's size and time of change stay the same;
    small folders are not kept there.
    A file that is missing or broken is no error here: its fault says so.
    """
    rows = load_rows(cache, folder)
    look = partial(_look, os.fspath(folder), rows, hash_images)
    chunks = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
    images: list[ImageFile] = []
    news: dict[str, Row] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for files, changes in pool.map(look, chunks):
            images += files
            news |= changes
            if report is not None:
                report(len(images))
    if len(news) >= _FEWEST:
        save_rows(cache, folder, news)
    return images


def _look(
    folder: str, rows: dict[str, Row], hash_images: bool, names: Sequence[str]
) -> tuple[list[ImageFile], dict[str, Row]]:
    """Return the files of a chunk, and the rows of those that the cache lacks."""
    files: list[ImageFile] = []
    news: dict[str, Row] = {}
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 - a Path for each costs as much again
        try:
            state = os.stat(path)  # noqa: PTH116
            # The last is set by every change, the copy of an old file with its time among them.
            key = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
            row = rows.get(name)
            file = _of_row(row) if row is not None and row[:3] == key else None
            if file is None or (hash_images and not file.content):
                file = _read(path, state, hash_images=hash_images)
                news[name] = [*key, file.fault, file.sample, file.content, list(file.header)]
            files.append(file)
        except (FileNotFoundError, NotADirectoryError):
            files.append(ImageFile("does not exist"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            files.append(ImageFile(f"cannot be read ({reason})"))
    return files, news


def _of_row(row: Row) -> ImageFile:
    size, _, _, fault, sample, content, header = row
    return ImageFile(fault, size, sample, content, Header(*header))


def _read(path: str, state: os.stat_result, *, hash_images: bool) -> ImageFile:
    """Return what a file holds now.

    Raises:
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(state.st_mode):  # to open a pipe would wait for its writer
        return ImageFile("is not a file", state.st_size)
    size = state.st_size
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        source = FileSource(descriptor, size)
        sample = hashlib.sha256(b"%d\n" % size + source.head + source.tail).hexdigest()
        content = _hash(source) if hash_images else ""
        if not size:
            return ImageFile("0 bytes", size, sample, content)
        header = read_header(source)
        fault = "truncated" if header.is_truncated else ""
        return ImageFile(fault, size, sample, content, header)
    finally:
        os.close(descriptor)


def _hash(source: FileSource) -> str:
    digest = hashlib.sha256()
    for place in range(0, source.size, _BLOCK):
        digest.update(source.at(place, _BLOCK))
    return digest.hexdigest()
