"""The files of a work directory that no record and no manifest needs."""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.workdir.leftovers import FRESH_SECONDS, PLACES
from runners.workdir.lock import LOCK_FILE, lock_holder
from runners.workdir.references import References
from runners.workdir.stop_file import STOP_FILE
from yolact_bench.results.files import is_temporary
from yolact_bench.work_names import (
    CACHE,
    CHECKPOINTS,
    FINAL,
    IMAGES,
    LAST,
    LOG,
    PREDICTIONS,
    REPORTS,
    RESAMPLES,
    RESULTS,
    RUN,
    SWEEPS,
)

_CHECKPOINT = {RUN, LAST, FINAL, LOG, LOCK_FILE, STOP_FILE}
_PASS_FILES = ("pass.json", "partial.json")
_DETECTION_FILES = ("meta.json", "bbox.json", "segm.json")
# Results, copies of them and files of the user: never touched.
_KEPT = {
    *(RESULTS, IMAGES, RESAMPLES, REPORTS, "executions", "submissions", "imported", LOCK_FILE),
    CACHE,
    *("data", "external"),  # images drawn for other frameworks, and where their commands write
    *("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlartifacts"),
    *("optuna.db", "optuna.db-journal", SWEEPS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file or folder that can go."""

    path: Path
    size: int  # bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file or folder that looks removable, and why it stays."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """The removable contents of a work directory."""

    work_dir: Path
    items: tuple[Item, ...]
    left: tuple[Leftover, ...]

    @property
    def size(self) -> int:
        """Bytes that can be freed."""
        return sum(item.size for item in self.items)


class Search:
    """One pass over a work directory."""

    def __init__(self, work_dir: Path, references: References, now: float) -> None:
        self.work_dir, self.references, self.now = work_dir, references, now
        self.items: list[Item] = []
        self.left: list[Leftover] = [
            Leftover(
                path=path, reason=f"cannot be read ({why}), so no checkpoint or prediction goes"
            )
            for path, why in references.unreadable.items()
        ]
        other = lock_holder(work_dir)
        if other is not None and (other.pid, other.host) != (os.getpid(), socket.gethostname()):
            reason = f"`{other.command}` (process {other.pid} on {other.host}) writes here now"
            self.left.append(Leftover(path=work_dir, reason=reason))

    def temporaries(self) -> None:
        """Files and folders that a killed process has left half-written."""
        inside = [path for place in PLACES for path in _all_below(self.work_dir / place)]
        for path in [*sorted(self.work_dir.iterdir()), *inside]:
            if is_temporary(path):
                self._offer(path, "left by a write that was killed")

    def checkpoints(self) -> None:
        """Trainings that nothing refers to, and interim checkpoints of finished ones."""
        for folder, names in _folders(self.work_dir / CHECKPOINTS):
            if names - _CHECKPOINT:
                unknown = ", ".join(sorted(names - _CHECKPOINT))
                self._leave(folder, f"holds {unknown}, unknown to gc")
            elif folder.name not in self.references.trainings and not self.references.unreadable:
                state = "a training" if FINAL in names else "an unfinished training"
                self._offer(folder, f"{state} that {self.references.searched} refers to")
            elif {LAST, FINAL} <= names:
                path = folder / LAST
                reason = "its training is finished: final.pt is beside it"
                self.items.append(Item(path=path, size=_size(path), reason=reason))

    def predictions(self) -> None:
        """Detections that nothing refers to, and stored passes that nothing will replay."""
        for folder, names in _folders(self.work_dir / PREDICTIONS):
            if names.intersection(_PASS_FILES):
                self._forward_pass(folder)
            elif names.intersection(_DETECTION_FILES) or not names:
                self._detections(folder)
            else:
                self._leave(folder, "unknown to gc")

    def unknown_entries(self) -> None:
        """Name what does not belong to a work directory."""
        for path in sorted(self.work_dir.iterdir()):
            known = path.name in _KEPT | {CHECKPOINTS, PREDICTIONS}
            if not known and not is_temporary(path):
                self._leave(path, "unknown to gc")

    def _forward_pass(self, folder: Path) -> None:
        if self.references.unreadable:
            return
        waiting = self.references.passes.get(folder.name)
        if waiting is None:
            self._offer(folder, f"a forward pass that {self.references.searched} refers to")
        elif not waiting:
            reason = "a forward pass; all that replay it are evaluated"
            self._offer(folder, reason, finished=(folder / "pass.json").is_file())

    def _detections(self, folder: Path) -> None:
        if self.references.unreadable or folder.name in self.references.detections:
            return
        reason = f"detections that {self.references.searched} refers to"
        digest, _, weights = folder.name.partition("-")
        if weights:
            reason = f"detections of {digest} with given weights, which no record is made of"
        self._offer(folder, reason)

    def _offer(self, path: Path, reason: str, *, finished: bool = False) -> None:
        """List it, unless it was written within the last hour."""
        inside = [path, *_all_below(path)] if path.is_dir() else [path]
        newest = max(one.stat().st_mtime for one in inside)
        if self.now - newest < FRESH_SECONDS and not finished:
            self._leave(path, f"{reason}; but written within the last hour")
        elif not any(path.is_relative_to(item.path) for item in self.items):
            self.items.append(Item(path=path, size=_size(path), reason=reason))

    def _leave(self, path: Path, reason: str) -> None:
        self.left.append(Leftover(path=path, reason=reason))


def _folders(parent: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield the folders of a folder and the names in each, without temporary ones."""
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if path.is_dir() and not path.is_symlink() and not is_temporary(path):
            yield path, {inner.name for inner in path.iterdir() if not is_temporary(inner)}


def _all_below(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_symlink())


def _size(path: Path) -> int:
    inside = _all_below(path) if path.is_dir() else [path]
    return sum(one.stat().st_size for one in inside if one.is_file())
