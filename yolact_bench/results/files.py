"""Files that appear whole or not at all: temporary name, fsync, rename, fsync of the folder."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yolact_bench.errors import ArmError

# The names that `atomic_path` and `atomic_folder` give to what is incomplete.
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp(\.[^.]+)?")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Put `content` at `path`; a reader sees the old file or the new one, never a part."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def is_temporary(path: Path) -> bool:
    """Return whether a file or folder has a name of an incomplete one."""
    return TEMPORARY.fullmatch(path.name) is not None


@contextmanager
def atomic_path(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an exception.

    It lies in the same folder, as a rename is atomic only within one file system, and keeps the
    suffix, as many writers choose their format by it. Missing folders are made. Not `durable`:
    the file is not forced to the disk, and may be torn after a power loss.

    Raises:
        ArmError: the disk is full; nothing half-written is left.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        yield temporary
        if durable:
            sync(temporary)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        if out_of_space(error):
            raise disk_full(path) from error
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)
        raise
    if durable:
        sync(path.parent)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder` when the block ends without an exception."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    partial.mkdir(mode=0o700)
    try:
        yield partial
        partial.chmod(0o755)  # a temporary folder is private
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each on the disk when this returns.

    A file that is on the disk is lost with a folder that is not.
    """
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync(one.parent)


def sync(path: Path) -> None:
    """Force a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def out_of_space(error: BaseException | None) -> bool:
    """Return whether an error comes from a full disk or quota, however it was wrapped since."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def disk_full(path: Path) -> ArmError:
    """Return the error that names the file for which there was no space."""
    return ArmError(
        "disk_full",
        f"{path}: no space is left on its disk, and nothing was written; free some "
        "(`yolact-bench gc` lists what nothing needs), then run the same command again, with "
        "--retry-failed where an arm failed",
    )
