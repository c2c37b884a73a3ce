"""What a killed command left half-written is gone when the next one has begun."""

import errno
import os
from pathlib import Path

import pytest

from runners.workdir.leftovers import FRESH_SECONDS, hold_work_dir
from runners.workdir.lock import hold_lock
from tests.runners.workdir.test_gc import put
from yolact_bench.results.files import atomic_folder, atomic_path, is_temporary

_OURS = ("checkpoints/t", "predictions/d", "resamples", "data", "external/row")


def names(work: Path) -> list[str]:
    return sorted(path.name for path in work.rglob("*") if is_temporary(path))


def test_temporary_files_where_only_holders_of_the_lock_write_go_at_once(tmp_path: Path) -> None:
    for place in _OURS:
        put(tmp_path / place / ".one.0a1b2c3d.tmp.npz")
    put(tmp_path / "data" / ".images.0a1b2c3d.tmp" / "a.png")
    kept = [tmp_path / "predictions" / "d" / "bbox.json", tmp_path / "checkpoints/t/.lock"]
    for file in kept:
        put(file)
    with hold_work_dir(tmp_path, command="run"):
        assert names(tmp_path) == []
    assert all(file.exists() for file in kept)


def test_files_that_a_process_without_the_lock_may_write_go_when_they_are_old(
    tmp_path: Path,
) -> None:
    places = (tmp_path, tmp_path / "reports" / "quick", tmp_path / "cache", tmp_path / "sweeps")
    for place in places:
        put(place / ".new.0a1b2c3d.tmp.md")
        put(place / ".old.0a1b2c3d.tmp.md")
        then = (place / ".old.0a1b2c3d.tmp.md").stat().st_mtime - FRESH_SECONDS - 1
        os.utime(place / ".old.0a1b2c3d.tmp.md", (then, then))
    with hold_work_dir(tmp_path, command="run"):
        assert names(tmp_path) == [".new.0a1b2c3d.tmp.md"] * len(places)


def test_a_training_that_still_holds_its_folder_keeps_its_files(tmp_path: Path) -> None:
    training = tmp_path / "checkpoints" / "t"
    put(training / ".last.0a1b2c3d.tmp.pt")
    with hold_lock(training, command="worker"), hold_work_dir(tmp_path, command="run"):
        assert names(tmp_path) == [".last.0a1b2c3d.tmp.pt"]
    with hold_work_dir(tmp_path, command="run"):
        assert names(tmp_path) == []


def test_what_is_being_written_has_the_name_of_a_temporary(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.json") as file, atomic_folder(tmp_path / "b") as folder:
        assert is_temporary(file)
        assert is_temporary(folder)
        file.touch()


def test_a_file_that_cannot_be_removed_stops_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "resamples" / ".d.0a1b2c3d.tmp.npz")

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with hold_work_dir(tmp_path, command="run"):
        assert names(tmp_path) == [".d.0a1b2c3d.tmp.npz"]
