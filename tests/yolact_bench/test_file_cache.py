"""What was read of a file is read once, and nothing that happens to a cache is an error."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yolact_bench.file_cache import (
    SMALLEST,
    Entry,
    entry_path,
    file_key,
    load_entry,
    remember,
    save_entry,
)
from yolact_bench.file_hash import file_sha256

ARRAYS = {"none": np.zeros((0, 4)), "odd": np.arange(3, dtype=np.int8), "wide": np.eye(3)}
ENTRY = Entry(facts={"names": ["a", "ä"]}, arrays=ARRAYS)


class Maker:
    """Counts how often the file was read."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Entry:
        self.calls += 1
        return ENTRY


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "large.json")


def write(path: Path, letter: bytes = b"x", *, size: int = SMALLEST, age: int = 60) -> Path:
    """Write a file that has not changed for `age` seconds."""
    path.write_bytes(letter * size)
    times = path.stat().st_mtime_ns - age * 10**9
    os.utime(path, ns=(times, times))
    return path


def same(entry: Entry | None) -> bool:
    assert entry is not None
    assert entry.facts == ENTRY.facts
    assert entry.arrays.keys() == ARRAYS.keys()
    for name, array in entry.arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
    return True


def test_a_file_is_read_once_and_again_when_it_or_the_question_changes(source: Path) -> None:
    folder, make = source.parent / "work" / "cache", Maker()
    for _ in range(2):
        assert same(remember(folder, "notes", source, make, version=1))
    assert make.calls == 1
    remember(folder, "notes", source, make, version=2)
    remember(folder, "notes", source, make, version=2, options=["cat"])
    assert make.calls == 3
    write(source, b"y", age=30)  # as long as before
    remember(folder, "notes", source, make, version=2)
    assert make.calls == 4
    assert len(list(folder.iterdir())) == 2, "a changed file takes the place of the old one"


def test_without_a_folder_and_of_small_or_new_files_nothing_is_kept(tmp_path: Path) -> None:
    """A file of the last seconds may change once more without a change of its time."""
    large = write(tmp_path / "large")
    small, new = write(tmp_path / "small", size=SMALLEST - 1), write(tmp_path / "new", age=0)
    for folder, source in ((None, large), (tmp_path / "work", small), (tmp_path / "work", new)):
        make = Maker()
        for _ in range(2):
            assert same(remember(folder, "notes", source, make, version=1))
        assert make.calls == 2
    assert {path.name for path in tmp_path.iterdir()} == {"large", "small", "new"}


def test_a_file_that_changes_while_it_is_read_is_not_kept(source: Path) -> None:
    def make() -> Entry:
        write(source, b"y", age=30)
        return ENTRY

    folder = source.parent / "cache"
    assert same(remember(folder, "notes", source, make, version=1))
    assert not folder.exists()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def foreign(path: Path) -> None:
    path.write_bytes(b"something else, and longer than a prefix")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def flip(place: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)

    return damage


@pytest.mark.parametrize(
    "damage",
    [empty, cut, foreign, folder, pipe, flip(0), flip(9), flip(13), flip(17), flip(40), flip(-1)],
)
def test_a_damaged_cache_is_made_again(source: Path, damage: Callable[[Path], None]) -> None:
    cache, make = source.parent / "cache", Maker()
    remember(cache, "notes", source, make, version=1)
    damage(entry_path(cache, "notes", source))
    assert same(remember(cache, "notes", source, make, version=1))
    assert make.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(source: Path) -> None:
    cache, make = source.parent / "cache", Maker()
    cache.write_text("a file where the folder should be")
    assert same(remember(cache, "notes", source, make, version=1))
    assert save_entry(cache / "x.bin", 1, ENTRY) is False


def test_an_incomplete_file_has_a_name_that_gc_knows_and_goes_when_writing_fails(
    tmp_path: Path,
) -> None:
    target = tmp_path / "notes.bin"
    target.mkdir()  # a file cannot take its place
    assert save_entry(target, 1, ENTRY) is False
    assert [path.name for path in tmp_path.iterdir()] == ["notes.bin"]


def test_another_process_is_sent_the_name_of_the_file_not_the_arrays(source: Path) -> None:
    large = Entry(facts=None, arrays={"zeros": np.zeros(100_000)})
    kept = remember(source.parent / "cache", "notes", source, lambda: large, version=1)
    sent = pickle.dumps(kept)
    assert len(sent) < 1000
    assert pickle.loads(sent).arrays["zeros"].size == 100_000
    assert kept.path is not None
    kept.path.unlink()  # its pages are still here
    assert pickle.loads(pickle.dumps(kept)).arrays["zeros"].size == 100_000
    assert same(pickle.loads(pickle.dumps(ENTRY)))


def test_mapped_arrays_cannot_be_written(source: Path) -> None:
    kept = remember(source.parent / "cache", "notes", source, Maker(), version=1)
    with pytest.raises(ValueError, match="read-only"):
        kept.arrays["odd"][0] = 1


def test_an_entry_of_another_file_is_none(tmp_path: Path, source: Path) -> None:
    path = tmp_path / "entry.bin"
    assert save_entry(path, file_key(source, 1), ENTRY)
    assert same(load_entry(path, file_key(source, 1)))
    assert load_entry(path, file_key(source, 2)) is None
    assert load_entry(tmp_path / "absent.bin", None) is None


def test_a_file_of_the_same_size_and_time_is_not_taken_for_another(tmp_path: Path) -> None:
    """As archives bring them whose files all have one time."""
    source = tmp_path / "notes.json"
    source.write_bytes(bytes(SMALLEST))
    os.utime(source, (1e9, 1e9))
    before, digest = file_key(source, 1), file_sha256(source, tmp_path / "cache")
    assert before is not None
    source.write_bytes(b"\1" * SMALLEST)
    os.utime(source, (1e9, 1e9))
    assert file_key(source, 1) != before
    assert file_sha256(source, tmp_path / "cache") != digest
