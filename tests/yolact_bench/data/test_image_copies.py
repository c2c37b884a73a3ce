"""Copies within a split, and training images in another one."""

from pathlib import Path

import pytest

from yolact_bench.data import image_copies
from yolact_bench.data.image_copies import note_copies, note_leaks
from yolact_bench.data.split_files import ImageFiles
from yolact_bench.findings import Findings


def files(folder: Path, *names: str, samples: tuple[int, ...]) -> ImageFiles:
    return ImageFiles(folder=folder, names=names, samples=samples, deep=())


def write(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def copies(split: ImageFiles) -> list[str]:
    findings = Findings()
    note_copies(split, [1, 2, 3], findings)
    return [finding.where for finding in findings.all()]


def test_equal_samples_are_compared_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a, b and c only a and c are equal; of very many pairs the sample decides."""
    write(tmp_path, {"a": b"1", "b": b"2", "c": b"1"})
    split = files(tmp_path, "a", "b", "c", samples=(5, 5, 5))
    assert copies(split) == ["image 3"]
    monkeypatch.setattr(image_copies, "_MOST_COMPARED", 0)
    assert copies(split) == ["image 2", "image 3"]


def test_a_training_image_in_another_split_is_a_leak_whatever_it_is_called(tmp_path: Path) -> None:
    """A file that cannot be read, sample 0, is no copy of anything."""
    write(tmp_path, {"a": b"1", "b": b"2", "c": b"1", "d": b"3"})
    training = files(tmp_path, "a", "b", "gone", samples=(5, 6, 0))
    others = files(tmp_path, "c", "d", "b", samples=(5, 7, 6))
    findings = Findings()
    note_leaks(training, others, [101, 102, 103], findings)
    assert [(one.where, one.text) for one in findings.all()] == [
        ("image 101", "c is a copy of a"),
        ("image 103", "b"),
    ]
