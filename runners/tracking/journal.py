"""The journal of an execution: a file of its events, from which a backfill can repeat them.

Its process holds a lock for as long as it lives, so that no backfill repeats what it still writes.
"""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runners.tracking.events import Event, ExecutionStart, event_from_plain, event_to_plain
from yolact_bench.errors import SpecError
from yolact_bench.text_file import open_regular
from yolact_bench.work_names import inside

FOLDER = "executions"  # in the work directory


def journal_path(work_dir: Path, started: ExecutionStart) -> Path:
    """Return work/executions/<ablation>/<time>-<execution>.jsonl, in order of time."""
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started.time_ms / 1000))
    return inside(work_dir / FOLDER, started.ablation) / f"{when}-{started.execution}.jsonl"


def journals(work_dir: Path, ablation: str) -> list[Path]:
    """Return the journals of an ablation, the earliest first."""
    return sorted(inside(work_dir / FOLDER, ablation).glob("*.jsonl"))


class Journal:
    """Appends events to a new file. An event is in the file when `append` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.size = 0  # bytes
        self._file = path.open("ab", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def append(self, event: Event) -> None:
        """Add a line. It survives a kill of the process."""
        line = json.dumps(event_to_plain(event), ensure_ascii=False, separators=(",", ":"))
        data = line.encode() + b"\n"
        self.size += len(data)
        while data:  # one call may take less than all on a nearly full disk
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Release the lock, so that a backfill may repeat the execution."""
        self._file.close()


def read_events(path: Path, start: int = 0) -> Iterator[tuple[Event, int]]:
    """Yield the events from byte `start` on, each with the byte at which the next begins.

    A last line without its end was torn by a crash, or is being written: it is left out.

    Raises:
        SpecError: another line cannot be read.
    """
    with open_regular(path) as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                event = event_from_plain(json.loads(line))
            except (ValueError, RecursionError, SpecError) as error:
                raise SpecError(
                    f"{path}, byte {start} is damaged: {error}; remove this line, or use the "
                    "version that wrote it"
                ) from error
            start += len(line)
            yield event, start


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a file; yield False where the process that writes it is alive."""
    with open_regular(path) as file:  # closing it releases the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except BlockingIOError:
            locked = False
        yield locked
