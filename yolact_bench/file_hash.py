"""The SHA-256 of a file."""

import hashlib
from functools import lru_cache
from pathlib import Path

from yolact_bench.file_cache import Entry, remember


def file_sha256(path: Path, cache: Path | None = None) -> str:
    """Return the SHA-256 of a file, computed once while its time and size stay the same.

    With the folder `cache`, that of a large file is computed once for all processes.
    """
    stat = path.stat()
    return _sha256(path, stat.st_ctime_ns, stat.st_size, cache)


@lru_cache(maxsize=64)
def _sha256(path: Path, ctime_ns: int, size: int, cache: Path | None) -> str:
    return str(remember(cache, "sha256", path, lambda: _compute(path), version=1).facts)


def _compute(path: Path) -> Entry:
    with path.open("rb") as file:
        return Entry(facts=hashlib.file_digest(file, "sha256").hexdigest(), arrays={})
