"""Copies within a split, and training images in another one."""

from pathlib import Path

import pytest

from yolact_bench.data import image_copies
from yolact_bench.data.image_copies import ImageFiles, note_copies, note_leaks
from yolact_bench.findings import Finding, Findings


def files(folder: Path, first_id: int, *names: str, samples: tuple[int, ...]) -> ImageFiles:
    ids = range(first_id, first_id + len(names))
    return ImageFiles(ids=list(ids), folder=folder, names=names, samples=samples)


def write(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def copies(split: ImageFiles) -> tuple[Finding, ...]:
    findings = Findings()
    note_copies(split, findings)
    return findings.all()


def test_equal_samples_are_compared_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a, b and c only a and c are equal; of very many pairs the sample decides."""
    write(tmp_path, {"a": b"1", "b": b"2", "c": b"1"})
    split = files(tmp_path, 1, "a", "b", "c", samples=(5, 5, 5))
    assert [one.where for one in copies(split)] == ["image 3"]
    monkeypatch.setattr(image_copies, "_MOST_COMPARED", 0)
    assert [one.where for one in copies(split)] == ["image 2", "image 3"]


def test_a_training_image_in_another_split_is_a_leak_whatever_it_is_called(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"1", "b": b"2", "c": b"1", "d": b"3"})
    findings = Findings()
    training = files(tmp_path, 1, "a", "b", samples=(5, 6))
    others = files(tmp_path, 101, "c", "d", "b", samples=(5, 7, 6))
    note_leaks(training, others, findings)
    assert [(one.where, one.text) for one in findings.all()] == [
        ("image 101", "c has the bytes of a, image 1 of the training"),
        ("image 103", "b is image 2 of the training"),
    ]
