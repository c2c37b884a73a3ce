"""A scan of a folder: faults, digests and the cache."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.support.image_bytes import HEIGHT, WIDTH, encode
from yolact_bench.image_files import scan
from yolact_bench.image_files.scan import ImageFile, scan_images


@pytest.fixture(autouse=True)
def _keep_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_FEWEST", 1)


def write_long_ago(path: Path, content: bytes) -> None:
    """Write a file as of 2001: what was written just now is not kept."""
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))


def scan_one(folder: Path, name: str, **options: object) -> ImageFile:
    (file,) = scan_images(folder, [name], cache=folder / "cache", **options)  # type: ignore[arg-type]
    return file


def test_the_sample_is_of_size_and_both_ends_and_the_content_of_all(tmp_path: Path) -> None:
    """Of 10,000 bytes the first and last 4,096; a byte between changes the content alone."""
    data = bytes(range(250)) * 40
    (tmp_path / "a.png").write_bytes(data)
    one = scan_one(tmp_path, "a.png")
    assert one.size == 10_000
    assert one.sample == hashlib.sha256(b"10000\n" + data[:4096] + data[-4096:]).hexdigest()
    assert one.content == ""
    assert scan_one(tmp_path, "a.png", hash_images=True).content == hashlib.sha256(data).hexdigest()
    (tmp_path / "b.png").write_bytes(data[:5000] + b"?" + data[5001:])
    other = scan_one(tmp_path, "b.png", hash_images=True)
    assert other.sample == one.sample
    assert other.content == hashlib.sha256(data[:5000] + b"?" + data[5001:]).hexdigest()


def test_a_fault_is_stated_and_the_others_are_read(tmp_path: Path) -> None:
    whole = encode(".png")
    for name, content in {"whole": whole, "empty": b"", "part": whole[:-20]}.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for ever
    names = ["whole", "empty", "part", "folder", "pipe", "none", "nu\0l", "long" * 99]
    files = scan_images(tmp_path, [f"{name}.png" for name in names], cache=None)
    faults = [file.fault for file in files]
    assert faults[:6] == ["", "0 bytes", "truncated", *["is not a file"] * 2, "does not exist"]
    assert all(fault.startswith("cannot be read (") for fault in faults[6:])
    assert files[0].header.oriented == (WIDTH, HEIGHT)


def test_what_is_in_the_cache_is_not_read_again_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_long_ago(tmp_path / "a.png", encode(".png"))
    write_long_ago(tmp_path / "b.png", encode(".png"))
    first = scan_one(tmp_path, "a.png")
    scan_one(tmp_path, "b.png")  # adds to the cache and leaves the other in it
    reads: list[str] = []
    read = scan._read

    def count(path: str, state: os.stat_result, *, hash_images: bool) -> ImageFile:
        reads.append(Path(path).name)
        return read(path, state, hash_images=hash_images)

    monkeypatch.setattr(scan, "_read", count)
    assert scan_one(tmp_path, "a.png") == first
    assert reads == []
    scan_one(tmp_path, "a.png", hash_images=True)
    scan_one(tmp_path, "a.png", hash_images=True)
    assert reads == ["a.png"]
    (tmp_path / "b.png").write_bytes(encode(".jpg"))
    assert scan_one(tmp_path, "b.png").header.format == "jpeg"
    assert reads == ["a.png", "b.png"]


def test_a_damaged_or_impossible_cache_is_done_without(tmp_path: Path) -> None:
    write_long_ago(tmp_path / "a.png", encode(".png"))
    first = scan_one(tmp_path, "a.png")
    (entry,) = (tmp_path / "cache").iterdir()
    content = entry.read_bytes()
    for damage in (b"", b"[]", content[:-9], content.replace(b"png", b"pmg")):
        entry.write_bytes(damage)
        assert scan_one(tmp_path, "a.png") == first
        assert entry.read_bytes() == content  # and is made again
    (tmp_path / "file").write_text("")
    assert scan_images(tmp_path, ["a.png"], cache=tmp_path / "file") == [first]


def test_neither_small_folders_nor_files_of_this_moment_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(encode(".png"))
    scan_one(tmp_path, "a.png")
    monkeypatch.setattr(scan, "_FEWEST", 2)
    write_long_ago(tmp_path / "a.png", encode(".png"))
    scan_one(tmp_path, "a.png")
    assert not (tmp_path / "cache").exists()


def test_a_scan_reports_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(".png"))
    reports: list[int] = []
    scan_images(tmp_path, ["a.png"] * 600, cache=None, report=reports.append)
    assert reports == [256, 512, 600]
