"""Files that are read: regular ones, since a pipe or a device may never end, and not too large."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from yolact_bench.errors import SpecError, hint


def require_file(path: Path) -> None:
    """Raise SpecError if there is no such file, with the nearest name and what there is."""
    if path.exists():
        return
    there = [file.name for file in path.parent.glob("*.y*ml")]
    raise SpecError(f"{path}: there is no such file{hint(path.name, there)}")


def require_folder(path: Path) -> None:
    """Return if the path is a folder, or one can be made there.

    Raises:
        SpecError: it is, or is below, a file or a link to nothing; or its name is too long.
    """
    fault = ""
    try:
        places = (path.absolute(), *path.absolute().parents)
        place = next(one for one in places if one.is_symlink() or one.exists())
        if not stat.S_ISDIR(place.stat().st_mode):
            fault = f"{place} is not a folder"
    except OSError as error:
        fault = error.strerror or str(error)
    if fault:
        raise SpecError(f"{str(path)[:300]}: cannot be a folder ({fault}); name another place")


def open_regular(path: Path) -> BinaryIO:
    """Return a regular file, opened for reading.

    Raises:
        SpecError: a folder, pipe or device.
        OSError: it cannot be opened; the error names it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe would wait
    try:
        refuse_irregular(path, os.fstat(descriptor).st_mode)
    except SpecError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def refuse_irregular(path: Path, mode: int) -> None:
    """Return if the `mode` of a file is that of a regular one.

    Raises:
        SpecError: it is that of a folder, pipe or device.
    """
    if not stat.S_ISREG(mode):
        raise SpecError(f"{path} is damaged: {_kind(mode)}; remove it, or restore it from a copy")


def read_bytes(path: Path, *, most: int, remedy: str) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises:
        SpecError: unreadable, larger, or a folder, pipe or device; the message ends in `remedy`.
    """
    try:
        status = path.stat()
        is_file = stat.S_ISREG(status.st_mode)  # reading a pipe or a device may never end
        if is_file and status.st_size <= most:
            return path.read_bytes()
        if is_file:
            fault = f"{status.st_size:,} bytes, where at most {most:,} are read"
        else:
            fault = _kind(status.st_mode)
    except OSError as error:
        fault = error.strerror or str(error)
    except ValueError:
        fault = "its name has the character NUL"
    raise SpecError(f"{str(path)[:300]}: cannot be read ({fault}); {remedy}")


def read_lines(path: Path, *, most: int, remedy: str) -> list[str]:
    """Return the lines of a text of at most `most` bytes that are not blank.

    Raises:
        SpecError: as `read_bytes`, or not UTF-8.
    """
    try:
        text = read_bytes(path, most=most, remedy=remedy).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 (byte {error.start}); {remedy}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or device, not a file"
