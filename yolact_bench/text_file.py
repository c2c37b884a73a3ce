"""A file that the user names, read whole: a regular one, and not too large."""

import stat
from pathlib import Path

from yolact_bench.errors import SpecError, hint


def require_file(path: Path) -> None:
    """Raise SpecError if there is no such file, with the nearest name and what there is."""
    if path.exists():
        return
    there = [file.name for file in path.parent.glob("*.y*ml")]
    raise SpecError(f"{path}: there is no such file{hint(path.name, there)}")


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
            fault = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device, not a file"
    except OSError as error:
        fault = error.strerror or str(error)
    except ValueError:
        fault = "its name has the character NUL"
    raise SpecError(f"{str(path)[:300]}: cannot be read ({fault}); {remedy}")
