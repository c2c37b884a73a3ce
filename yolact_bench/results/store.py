"""The result store: an append-only file of JSON lines, the truth about what was measured.

One file: adding a line, reading it and mending a torn one share its format and its lock.
"""

import fcntl
import json
import logging
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic_core import from_json  # faster than json.loads

from yolact_bench.errors import SpecError
from yolact_bench.results.files import disk_full, make_folder, out_of_space, sync
from yolact_bench.results.record import SCHEMA, Accuracy, Errors, Failure, Latency, Record
from yolact_bench.results.serialise import from_plain, plain_fields
from yolact_bench.text_file import open_regular, refuse_irregular
from yolact_bench.work_names import RESULTS

log = logging.getLogger(__name__)

R = TypeVar("R", Accuracy, Errors)

_TYPES: dict[str, type[Record]] = {
    "Accuracy": Accuracy,
    "Latency": Latency,
    "Errors": Errors,
    "Failure": Failure,
}
# record type -> the phase whose failures it resolves
_RESOLVED_PHASE: dict[type[Record], str] = {Latency: "latency", Errors: "errors"}


@dataclass(frozen=True, slots=True)
class _Line:
    """A checked line. It becomes a record on demand: decoding costs more than reading."""

    number: int
    kind: type[Record]
    digest: str
    session_or_phase: str  # "" for an accuracy
    text: bytes


class Store:
    """Records of all ablations of one work directory, looked up by digest, never by arm name.

    The file is read once and then only where it has grown, so queries are cheap while other
    processes append. "Latest" means last in the file: clocks of machines may disagree. A pickled
    store is its path; another process reads the file itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[_Line] = []
        self._read_to = 0  # bytes
        self._breaks = 0  # line breaks up to there

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        return Store, (self.path,)

    def add(self, record: Record) -> None:
        """Append `record` as one line, on disk when this returns.

        Raises:
            ArmError: the disk is full; the file is as it was.
        """
        data = {"schema": SCHEMA, "type": type(record).__name__, **plain_fields(record)}
        line = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        make_folder(self.path.parent)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            refuse_irregular(self.path, os.fstat(descriptor).st_mode)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_size == 0:  # may be new: a record must not outlive its file
                sync(self.path.parent)
            start = self._mend(descriptor)
            _append(descriptor, start + line.encode() + b"\n", self.path)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)  # releases the lock

    def records(self) -> tuple[Record, ...]:
        """Return every record, in the order they were added.

        Raises:
            SpecError: a broken line that is not merely the torn end of the file.
        """
        self._refresh()
        return tuple(self._record(line) for line in self._lines)

    def accuracy(self, detect_digest: str) -> Accuracy | None:
        """Return the latest accuracy of that run, whichever arm or ablation it was added for."""
        return self._latest(Accuracy, detect_digest)

    def errors(self, detect_digest: str) -> Errors | None:
        """Return the latest error analysis of that run, unless it has been scored since."""
        return self._latest(Errors, detect_digest)

    def latencies(self, detect_digests: Sequence[str] | None = None) -> Iterator[Latency]:
        """Yield the times of these runs, or of all, in the order they were added."""
        self._refresh()
        wanted = None if detect_digests is None else frozenset(detect_digests)
        for line in self._lines:
            if line.kind is Latency and (wanted is None or line.digest in wanted):
                record = self._record(line)
                assert isinstance(record, Latency)
                yield record

    def failures(
        self,
        detect_digests: Sequence[str] | None = None,
        *,
        measure: Collection[str] = tuple(_RESOLVED_PHASE.values()),
    ) -> tuple[Failure, ...]:
        """Return the latest failure of each run and phase that no later record has resolved.

        An accuracy resolves every earlier failure of its run, except those of timing and of error
        analysis, which a latency and an analysis resolve. Those two count only where an ablation
        has them among its `measure`: another one may have asked for more of the same run.
        """
        self._refresh()
        wanted = None if detect_digests is None else frozenset(detect_digests)
        standing: dict[tuple[str, str], _Line] = {}
        for line in self._lines:
            if wanted is not None and line.digest not in wanted:
                continue
            if line.kind is Failure:
                phase = line.session_or_phase
                key = line.digest, phase if phase in _RESOLVED_PHASE.values() else ""
                if key[1] and phase not in measure:
                    continue
                standing.pop(key, None)
                standing[key] = line
            else:
                standing.pop((line.digest, _RESOLVED_PHASE.get(line.kind, "")), None)
        records = [self._record(line) for line in standing.values()]
        return tuple(record for record in records if isinstance(record, Failure))

    def failures_by_run(
        self, detect_digests: Sequence[str], measure: Collection[str]
    ) -> dict[str, list[Failure]]:
        """Return the same by detect digest: a run may have failed in several phases."""
        by_run: dict[str, list[Failure]] = {}
        for failure in self.failures(detect_digests, measure=measure):
            by_run.setdefault(failure.detect_digest, []).append(failure)
        return by_run

    def why_failed(self, detect_digest: str, measure: Collection[str]) -> str | None:
        """Return why a run is not to be completed: without an accuracy, why it has none."""
        is_evaluated = self.accuracy(detect_digest) is not None
        standing = self.failures([detect_digest], measure=measure if is_evaluated else ())
        return "; ".join(f"{one.phase}: {one.message}" for one in standing) or None

    def has_failed(self, detect_digest: str, phases: Collection[str]) -> bool:
        """Return whether a failure of that run in one of these phases stands."""
        return any(failure.phase in phases for failure in self.failures([detect_digest]))

    def _latest(self, kind: type[R], digest: str) -> R | None:
        self._refresh()
        for line in reversed(self._lines):
            if line.digest == digest and line.kind in (kind, Accuracy):
                record = self._record(line)
                return record if isinstance(record, kind) else None
        return None

    def _refresh(self) -> None:
        """Read what was appended since the last call."""
        if not self.path.exists():
            return
        with open_regular(self.path) as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # not during an append of another process
            if file.seek(0, os.SEEK_END) < self._read_to:  # replaced by a shorter file
                self._lines, self._read_to, self._breaks = [], 0, 0
            file.seek(self._read_to)
            data = file.read()
        end = data.rfind(b"\n") + 1
        torn = data[end:]
        if torn.strip():
            if _is_json(torn):
                end = len(data)  # complete but for its line break, which `add` puts in
            else:
                log.warning("%s: the last line is incomplete and was ignored", self.path)
        lines = []
        for number, line in enumerate(data[:end].split(b"\n"), start=self._breaks + 1):
            if line.strip():
                lines.append(self._check(line, number))
        self._lines += lines
        self._read_to += end
        self._breaks += data.count(b"\n", 0, end)

    def _check(self, text: bytes, number: int) -> _Line:
        where = f"{self.path}, line {number}"
        try:
            data = from_json(text)
            schema, kind, digest = data["schema"], data["type"], data["detect_digest"]
            group = data.get("session", data.get("phase", ""))
            if not all(isinstance(text, str) for text in (kind, digest, group)):
                raise TypeError("its type or a digest is not a text")
        except (ValueError, KeyError, TypeError) as error:
            raise SpecError(
                f"{where}: not a record ({error}); remove this line, or restore it from a copy"
            ) from error
        if schema != SCHEMA or kind not in _TYPES:
            raise SpecError(
                f"{where}: a {kind!r} of schema {schema}, this version reads {', '.join(_TYPES)} "
                f"of schema {SCHEMA}; use the version that wrote it, or another --work-dir"
            )
        return _Line(number, _TYPES[kind], digest, group, text)

    def _record(self, line: _Line) -> Record:
        data = from_json(line.text)
        del data["schema"], data["type"]
        try:
            record = from_plain(line.kind, data)
            datetime.fromisoformat(record.time)
            if isinstance(record, Latency) and not record.samples_ms:
                raise SpecError("Latency.samples_ms: empty")
        except ValueError as error:
            where = f"{self.path}, line {line.number}"
            raise SpecError(
                f"{where} is damaged: {error}; remove this line, or restore it from a copy"
            ) from error
        return record

    def _mend(self, descriptor: int) -> bytes:
        """Return what must precede a new line; cut off a line torn by a crash or power loss."""
        size = os.fstat(descriptor).st_size
        tail = b""
        start = size
        while start and b"\n" not in tail:
            step = min(start, 1 << 16)
            start -= step
            tail = os.pread(descriptor, step, start) + tail
        last = tail[tail.rfind(b"\n") + 1 :]
        if not last:
            return b""
        if _is_json(last):
            return b"\n"
        log.warning("%s: cut off an incomplete last line, %d bytes", self.path, len(last))
        os.ftruncate(descriptor, size - len(last))
        return b""


def open_store(work_dir: Path) -> Store:
    """Return the store of a work directory."""
    return Store(work_dir / RESULTS)


def _is_json(line: bytes) -> bool:
    try:
        from_json(line)
    except ValueError:
        return False
    return True


def _append(descriptor: int, data: bytes, path: Path) -> None:
    """Write all of `data` or nothing; one call may take only a part on a nearly full disk."""
    size = os.fstat(descriptor).st_size
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        os.ftruncate(descriptor, size)
        if out_of_space(error):
            raise disk_full(path) from error
        error.filename = str(path)
        raise
