"""What was read of a large file, kept as arrays that processes map and share.

A cache is never an error: one that is damaged, foreign or cannot be written is made again, or
done without.
"""

import contextlib
import hashlib
import json
import mmap
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Files below are read again in less time than a folder for them is worth.
SMALLEST = 4 << 20  # bytes
_PREFIX = struct.Struct("<8sIIQ")  # magic, CRC and length of the header, length of the file
_MAGIC = b"yb-cache"
_ALIGNMENT = 64  # bytes, of the arrays
# A file that was written later may be written again without a change of its time.
_SETTLED_NS = 2 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Arrays and plain facts. Once kept, it is pickled as the name of its file."""

    facts: Any  # as JSON has it
    arrays: Mapping[str, NDArray[Any]]
    lasts: bool = True  # until its file changes; otherwise it depends on more and is not kept
    path: Path | None = None  # of the file that the arrays are mapped from
    key: object = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Callable[..., "Entry"], tuple[object, ...]]:
        if self.path is not None and load_entry(self.path, self.key) is not None:
            return _reopen, (self.path.absolute(), self.key)
        copies = {name: np.array(array) for name, array in self.arrays.items()}
        return _rebuild, (self.facts, copies)


def remember(
    folder: Path | None,
    subject: str,
    source: Path,
    make: Callable[[], Entry],
    *,
    version: int | str,
    options: object = None,
) -> Entry:
    """Return what `make` reads of a file, from `folder` while the file stays as it is.

    `subject` begins the name of the cache's file, `version` is the format of the entry and
    `options` are what else it depends on. Without a folder, and for small files, nothing is kept.
    """
    if folder is None:
        return make()
    key = file_key(source, version, options)
    if key is None:
        return make()
    path = entry_path(folder, subject, source, options)
    if (entry := load_entry(path, key)) is not None:
        return entry
    entry = make()
    if not entry.lasts or file_key(source, version, options) != key:
        return entry
    if not save_entry(path, key, entry):
        return entry
    return load_entry(path, key) or entry


def file_key(source: Path, version: int | str, options: object = None) -> object | None:
    """Return what changes with a file, None where nothing of it is to be kept."""
    try:
        status = source.stat()
    except OSError:
        return None
    is_settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
    if status.st_size < SMALLEST or not is_settled:
        return None
    # The last of the times is set by every change, the copy of a file with its time among them.
    times = [status.st_mtime_ns, status.st_ctime_ns]
    return [str(source.absolute()), status.st_size, *times, version, options]


def entry_path(folder: Path, subject: str, source: Path, options: object = None) -> Path:
    """Return the file for what is kept of a source; a changed source takes the same one."""
    name = json.dumps([str(source.absolute()), options])
    return folder / f"{subject}-{hashlib.sha256(name.encode()).hexdigest()[:24]}.bin"


def load_entry(path: Path, key: object) -> Entry | None:
    """Return the entry in a file, mapped into memory; None where there is no whole one of `key`."""
    try:
        if not path.is_file():  # opening a pipe would wait
            return None
        with path.open("rb") as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, checksum, length, size = _PREFIX.unpack_from(buffer)
        text = buffer[_PREFIX.size : _PREFIX.size + length]
        if magic != _MAGIC or size != len(buffer) or zlib.crc32(text) != checksum:
            return None
        header = json.loads(text)
        body = _round_up(_PREFIX.size + length)
        if (
            header["key"] != json.dumps(key)
            or zlib.crc32(memoryview(buffer)[body:]) != header["checksum"]
        ):
            return None
        arrays = {
            name: np.ndarray(shape, np.dtype(kind), buffer, body + offset)
            for name, (kind, shape, offset) in header["arrays"].items()
        }
    except (OSError, ValueError, TypeError, LookupError, struct.error):
        return None
    return Entry(facts=header["facts"], arrays=arrays, path=path, key=key)


def save_entry(path: Path, key: object, entry: Entry) -> bool:
    """Write an entry, whole or not at all, and return whether that was possible.

    It is not forced to the disk: a checksum shows what a power loss has left of it.
    """
    if any(array.dtype.hasobject for array in entry.arrays.values()):
        return False
    places: dict[str, tuple[str, list[int], int]] = {}
    offset = checksum = 0
    chunks: list[memoryview | bytes] = []
    for name, array in entry.arrays.items():
        flat = np.ascontiguousarray(array)
        gap = bytes(_round_up(flat.nbytes) - flat.nbytes)
        places[name] = flat.dtype.str, list(array.shape), offset
        for chunk in (flat.reshape(-1).view(np.uint8).data, gap):
            checksum = zlib.crc32(chunk, checksum)
            chunks.append(chunk)
        offset += flat.nbytes + len(gap)
    header = {"key": json.dumps(key), "facts": entry.facts, "arrays": places, "checksum": checksum}
    text = json.dumps(header).encode()
    body = _round_up(_PREFIX.size + len(text))
    prefix = _PREFIX.pack(_MAGIC, zlib.crc32(text), len(text), body + offset)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write((prefix + text).ljust(body, b"\0"))
            file.writelines(chunks)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True


def _round_up(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _reopen(path: Path, key: object) -> Entry:
    entry = load_entry(path, key)
    if entry is None:
        raise OSError(f"{path}: was removed while a process was starting; run the command again")
    return entry


def _rebuild(facts: object, arrays: Mapping[str, NDArray[Any]]) -> Entry:
    return Entry(facts=facts, arrays=arrays)
