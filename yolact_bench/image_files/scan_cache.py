"""What a scan of an image folder has read, in one file of a cache.

A cache is never an error: what is damaged, missing or cannot be written is done without.
"""

import contextlib
import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

IMAGES = "images"  # subject: the rows are `ImageFile`s
# bytes, time of change in ns, and what was read of an image file
Row = list[Any]  # as JSON has it
_VERSION = 3  # raise when a row has another meaning
# A file that was written later may be written again without a change of its time.
_SETTLED_NS = 2 * 10**9


def load_rows(cache: Path | None, folder: Path, subject: str = IMAGES) -> dict[str, Row]:
    """Return name → row of the files of a folder that have been read before."""
    if cache is None:
        return {}
    try:
        content = _file(cache, folder, subject).read_bytes()
    except OSError:
        return {}
    digest, _, data = content.partition(b"\n")
    if digest != _digest(data):
        return {}  # damaged, or of another version
    rows: dict[str, Row] = json.loads(data)
    return rows


def save_rows(
    cache: Path | None, folder: Path, news: dict[str, Row], subject: str = IMAGES
) -> None:
    """Add rows to those of a folder, whole or not at all; not of files written just now."""
    before = time.time_ns() - _SETTLED_NS
    news = {name: row for name, row in news.items() if row[1] < before}
    if cache is None or not news:
        return
    # Read again: another process may have scanned another split of the folder meanwhile.
    data = json.dumps(load_rows(cache, folder, subject) | news, separators=(",", ":")).encode()
    path = _file(cache, folder, subject)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(_digest(data) + b"\n" + data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _file(cache: Path, folder: Path, subject: str) -> Path:
    key = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return cache / f"{subject}-{key}.json"


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(b"%d\n" % _VERSION + data).hexdigest().encode()
