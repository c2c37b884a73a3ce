"""Images identify a split by size, first and last 4 KiB; neither place nor time counts."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cases.base_set import base_content, draw_images, write_base
from yolact_bench.dataset_spec import images
from yolact_bench.dataset_spec.dataset import DatasetSpec, resolve_dataset
from yolact_bench.dataset_spec.images import look_once
from yolact_bench.image_files import scan
from yolact_bench.image_files.scan import scan_images


def spec(path: Path, cache: Path | None = None) -> DatasetSpec:
    return resolve_dataset({"name": "coco_format", "file": str(path)}, data_root=None, cache=cache)


def change_middle(file: Path) -> None:
    """Change a byte that is in neither end, which a viewer may hardly show."""
    data = bytearray(file.read_bytes())
    assert len(data) > 3 * 4096
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


CHANGES: dict[str, Callable[[Path], None]] = {
    "another": lambda folder: draw_images(folder, ["3.png"], seed=7),
    "gone": lambda folder: (folder / "3.png").unlink(),
    "exchanged": lambda folder: (
        (folder / "3.png").rename(folder / "x"),
        (folder / "4.png").rename(folder / "3.png"),
        (folder / "x").rename(folder / "4.png"),
    )[0],
    "the last byte": lambda folder: (folder / "3.png").write_bytes(
        (folder / "3.png").read_bytes()[:-1] + b"\0"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cached", [False, True])
def test_another_image_is_another_split(tmp_path: Path, change: str, cached: bool) -> None:
    one = spec(write_base(tmp_path / "set"), tmp_path / "cache" if cached else None)
    before = one.fingerprint("train"), one.fingerprint("val")
    of_annotations = one.fingerprint("train", images=False)
    CHANGES[change](tmp_path / "set" / "train")
    assert one.fingerprint("train") != before[0]
    assert one.fingerprint("val") == before[1]
    assert one.fingerprint("train", images=False) == of_annotations


def test_a_copy_at_another_time_with_other_files_beside_it_is_the_same(tmp_path: Path) -> None:
    first = spec(write_base(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for file in (tmp_path / "b" / "train").iterdir():
        os.utime(file, (1, 1))
    draw_images(tmp_path / "b" / "train", ["beside.png"], seed=9)
    second = spec(tmp_path / "b" / "dataset.yaml", tmp_path / "cache")
    for split in ("train", "val"):
        assert first.fingerprint(split) == second.fingerprint(split)


def test_a_name_that_means_another_file_counts_by_that_files_content(tmp_path: Path) -> None:
    content = base_content()
    for one in content["images"]:
        one["file_name"] = f"C:\\export\\{one['id']}.png"
    (tmp_path / "set").mkdir()
    path = write_base(tmp_path / "set")
    (tmp_path / "set" / "train.json").write_text(json.dumps(content))
    before = spec(path).fingerprint("train")
    draw_images(tmp_path / "set" / "train", ["3.png"], seed=7)
    assert spec(path).fingerprint("train") != before


def test_a_cache_does_not_take_an_image_of_the_same_size_and_time_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a copy that keeps the times of files may bring one."""
    monkeypatch.setattr(scan, "_FEWEST", 1)
    one = spec(write_base(tmp_path / "set"), tmp_path / "cache")
    for file in (tmp_path / "set" / "train").iterdir():
        os.utime(file, (1e9, 1e9))
    before = one.fingerprint("train")
    assert list((tmp_path / "cache").iterdir())
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, (1e9, 1e9))
    assert one.fingerprint("train") != before


def test_only_all_bytes_show_a_change_in_the_middle(tmp_path: Path) -> None:
    one = spec(write_base(tmp_path / "set"), tmp_path / "cache")
    split, fingerprint = one.split("train"), one.fingerprint("train")
    whole = split.images_digest(one.cache, whole=True)
    change_middle(tmp_path / "set" / "train" / "3.png")
    assert one.fingerprint("train") == fingerprint
    assert split.images_digest(one.cache, whole=True) != whole


def test_one_command_looks_once_and_the_next_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def counted(folder: Path, names: list[str], **how: object) -> object:
        looks.append(len(names))
        return scan_images(folder, names, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "scan_images", counted)
    path = write_base(tmp_path / "set")
    with look_once():
        first = [spec(path).fingerprint("val") for _ in range(3)]
        draw_images(tmp_path / "set" / "val", ["103.png"], seed=7)
        assert spec(path).fingerprint("val") == first[0]
    assert looks == [6]
    with look_once():
        assert spec(path).fingerprint("val") != first[0]
    assert looks == [6, 6]


def test_looking_at_many_images_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []

    @contextmanager
    def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
        shown.append((title, total))
        yield shown.append

    monkeypatch.setattr(images, "_SHOWN", 6)
    with look_once(progress):
        spec(write_base(tmp_path / "set")).fingerprint("val")
    assert shown == [("images of val", 6), 6]
