"""One writer to a work directory: a lock that dies with its process."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.text_file import open_regular, refuse_irregular

LOCK_FILE = ".lock"
_DEAD_HOLDER_SECONDS = 3.0
_LONGEST = 1000  # characters of a text about the holder
_HELD = (errno.EWOULDBLOCK, errno.EACCES)  # flock's errors while another process holds the lock
_held: set[int] = set()  # descriptors of this process


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that writes to a work directory."""

    pid: int
    host: str
    command: str
    since: str  # ISO 8601, UTC


@contextmanager
def hold_lock(work_dir: Path, *, command: str, patience: float = 0.0) -> Iterator[Holder]:
    """Give this process the work directory alone until the block ends; readers never wait.

    The lock belongs to the open file, so the kernel takes it back however the process ends. The
    file itself stays: another process may have just opened it. For a holder that is alive it
    waits up to `patience` seconds.

    Raises:
        SpecError: another process writes there, or it cannot be written or locked.
    """
    descriptor = _open(work_dir)
    _held.add(descriptor)
    try:
        _take(descriptor, work_dir, patience)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder = Holder(pid=os.getpid(), host=socket.gethostname(), command=command, since=since)
        try:
            _write(descriptor, asdict(holder))
        except OSError as error:
            raise unwritable(work_dir, error) from error
        yield holder
        _write(descriptor, {})
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def lock_holder(work_dir: Path) -> Holder | None:
    """Return the process that writes to the work directory now, if any, without waiting.

    Raises:
        SpecError: the file system has no locks.
    """
    try:
        file = open_regular(work_dir / LOCK_FILE)
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise _lockless(work_dir, error) from error
            return _read(file.fileno())
    return None


def _open(work_dir: Path) -> int:
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(work_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644)
        refuse_irregular(work_dir / LOCK_FILE, os.fstat(descriptor).st_mode)
    except OSError as error:
        raise unwritable(work_dir, error) from error
    return descriptor


def unwritable(work_dir: Path, error: OSError) -> SpecError:
    """Return what to raise where a work directory cannot be written."""
    return SpecError(f"--work-dir {work_dir}: cannot be written ({error.strerror}); choose another")


def _take(descriptor: int, work_dir: Path, patience: float) -> None:
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise _lockless(work_dir, error) from error
            other = _read(descriptor)
            allowed = max(patience, 0.0 if _lives(other) else _DEAD_HOLDER_SECONDS)
            if time.monotonic() - began >= allowed:
                raise SpecError(
                    f"--work-dir {work_dir}: another process writes there: `{other.command}`, "
                    f"process {other.pid} on {other.host}, since {other.since}; wait for it, stop "
                    "it (it can continue from its checkpoint), or choose another --work-dir"
                ) from error
        else:
            return
        time.sleep(0.05)  # a child that was just forked off a killed process lets go in a moment


def _lives(holder: Holder) -> bool:
    """Return whether the process may be alive; of another host that is not known."""
    if holder.host != socket.gethostname() or not holder.pid:
        return True
    try:
        os.kill(holder.pid, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    except OverflowError:  # no number of a process
        return False
    return True


def _lockless(work_dir: Path, error: OSError) -> SpecError:
    return SpecError(
        f"--work-dir {work_dir}: its file system cannot lock files ({error.strerror}), so two "
        "processes could spoil each other's results; choose a folder on a local disk"
    )


def _write(descriptor: int, facts: Mapping[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(facts).encode() if facts else b"", 0)


def _read(descriptor: int) -> Holder:
    """Return what the holder wrote; it may be between taking the lock and writing."""
    try:
        data = json.loads(os.pread(descriptor, 1 << 16, 0))
        texts = {name: str(data[name])[:_LONGEST] for name in ("host", "command", "since")}
        return Holder(pid=int(data["pid"]), **texts)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return Holder(pid=0, host="unknown", command="unknown", since="just now")


def _let_go_in_child() -> None:
    """Close what a forked child inherits: a loader's worker would keep a dead parent's lock."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
