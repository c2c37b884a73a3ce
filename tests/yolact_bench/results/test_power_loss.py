"""What a power loss may take: nothing that was said to be there."""

import json
import os
from pathlib import Path

import pytest

from runners.evaluation.files import META_SCHEMA, PredictionKey
from runners.evaluation.stored_pass import META_FILE, _resumable, open_pass
from runners.training.log import TrainingLog
from tests.support.fake_work import failure
from yolact_bench.results.files import write_atomically
from yolact_bench.results.store import Store


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is forced to the disk and what is renamed, as it happens."""
    found: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        found.append("sync temporary" if ".tmp" in name else f"sync {name}")
        sync(descriptor)

    def rename(source: Path, target: Path) -> None:
        found.append(f"rename to {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr("os.replace", rename)
    return found


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_relied_on(
    tmp_path: Path, events: list[str]
) -> None:
    write_atomically(tmp_path / "file.json", "{}")
    assert events == ["sync temporary", "rename to file.json", f"sync {tmp_path.name}"]


def test_a_new_folder_is_on_the_disk_before_its_files(tmp_path: Path, events: list[str]) -> None:
    """Each folder that is made is an entry of the one above, which is forced to the disk."""
    write_atomically(tmp_path / "a" / "b" / "file.json", "{}")
    assert events[:2] == [f"sync {tmp_path.name}", "sync a"]
    assert events[2:] == ["sync temporary", "rename to file.json", "sync b"]


def test_a_record_is_not_lost_with_a_file_that_a_killed_process_has_just_made(
    tmp_path: Path, events: list[str]
) -> None:
    path = tmp_path / "results.jsonl"
    path.touch()
    Store(path).add(failure())
    assert events == [f"sync {tmp_path.name}", "sync results.jsonl"]
    Store(path).add(failure())
    assert events[2:] == ["sync results.jsonl"]


def test_a_pass_whose_clearing_is_cut_short_is_not_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cleared because one with a lower score is asked for; only one of its files goes."""
    identity = {"schema": META_SCHEMA, "complete": True, "forward_digest": "f", "weights": "t"}
    meta = {**identity, "num_images": 1, "min_score": 0.2, "bytes": 1}
    (tmp_path / META_FILE).write_text(json.dumps(meta))
    (tmp_path / "0000000.npz").touch()
    assert open_pass(tmp_path, PredictionKey("f", "t", 1))

    unlink = Path.unlink

    def once(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        if path.suffix == ".npz":
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", once)
    with pytest.raises(KeyboardInterrupt):
        _resumable(tmp_path, {**identity, "num_images": 1, "min_score": 0.1}, [range(1)])
    assert open_pass(tmp_path, PredictionKey("f", "t", 1)) is None


def test_a_log_is_cut_where_the_training_goes_on_whatever_a_crash_made_of_it(
    tmp_path: Path, events: list[str]
) -> None:
    path = tmp_path / "log.jsonl"
    kept = '{"iteration": 10}\n{"iteration": 20, "validation": {}}\n'
    path.write_bytes(kept.encode() + b'{"iteration": 30}\n\x00\xff\x00\n5\n{"iteration": 4')
    log = TrainingLog(path)
    assert log.validated(20)
    assert not log.validated(10)
    log.cut(20)
    assert path.read_text() == kept
    assert "rename to log.jsonl" in events  # a kill in between leaves the old one
    log.cut(0)
    assert path.read_text() == ""
