"""What a scan of an image folder has read, in one file of a cache.

A cache is never an error: what is damaged, missing or cannot be written is done without.
"""

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

# bytes, time of change in ns, and the other fields of an image file
Row = list[Any]  # as JSON has it
_VERSION = 1  # raise when a row has another meaning


def load_rows(cache: Path | None, folder: Path) -> dict[str, Row]:
    """Return name → row of the files of a folder that have been read before."""
    if cache is None:
        return {}
    try:
        content = _file(cache, folder).read_bytes()
    except OSError:
        return {}
    digest, _, data = content.partition(b"\n")
    if digest != _digest(data):
        return {}  # damaged, or of another version
    rows: dict[str, Row] = json.loads(data)
    return rows


def save_rows(cache: Path | None, folder: Path, news: dict[str, Row]) -> None:
    """Add rows to those of a folder, whole or not at all."""
    if cache is None:
        return
    # Read again: another process may have scanned another split of the folder meanwhile.
    data = json.dumps(load_rows(cache, folder) | news, separators=(",", ":")).encode()
    path = _file(cache, folder)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(_digest(data) + b"\n" + data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _file(cache: Path, folder: Path) -> Path:
    key = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return cache / f"images-{key}.json"


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(b"%d\n" % _VERSION + data).hexdigest().encode()
