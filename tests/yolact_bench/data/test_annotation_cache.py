"""A large annotation file is read once; what is kept of it gives the same, in shared memory."""

import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.data_fixtures import square_annotation, tiny_content, tiny_spec
from yolact_bench import json_file
from yolact_bench.coco_content import TextEntries, read_coco
from yolact_bench.coco_file import plain
from yolact_bench.data import open_dataset
from yolact_bench.data.annotations import Annotations, read_annotations
from yolact_bench.errors import SpecError
from yolact_bench.file_cache import SMALLEST
from yolact_bench.file_hash import file_sha256

RUNS = {"size": [40, 60], "counts": [100, 20, 2280]}


def content() -> dict[str, Any]:
    """Two classes on two images: a crowd, run lengths, two outlines, and some to be mended."""
    two = [[4.1, 5, 20, 5, 20, 17], [30, 20, 40, 20, 40, 30]]
    return {
        **tiny_content(),
        "annotations": [
            square_annotation(1, 30),
            square_annotation(2, 30, iscrowd=1),
            square_annotation(3, 10, category_id=3, segmentation=two, bbox=[4.1, 5, 35.9, 25]),
            square_annotation(4, 30, segmentation=RUNS, bbox=[2, 20, 1, 20], area=20),
            square_annotation(4, 10, area=None),
            square_annotation("6", 30),
            square_annotation(7, 30, segmentation=[]),
        ],
    }


def write(path: Path, size: int = SMALLEST, **changes: object) -> Path:
    """Write the content as a file of at least so many bytes that was written a minute ago."""
    text = json.dumps({"info": "x" * size, **content(), **changes})
    path.write_text(text)
    minute_ago = path.stat().st_mtime - 60
    os.utime(path, (minute_ago, minute_ago))
    return path


def read(path: Path, cache: Path | None = None, *classes: str) -> Annotations:
    names = classes or ("cat", "cup")
    return read_annotations(
        path, names, subset=bool(classes), split="train", size_of=lambda name: None, cache=cache
    )


def everything(annotations: Annotations) -> str:
    objects = [annotations.objects(index) for index in range(len(annotations.images))]
    known = annotations.ground_truth(), annotations.findings, list(annotations.images), objects
    return repr(known)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file is large, whatever its size."""
    monkeypatch.setattr(json_file, "_LARGEST_BY_HAND", 0)
    return tmp_path / "large.json"


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Lists the files that are parsed."""
    calls: list[Path] = []

    def count(path: Path) -> object:
        calls.append(path)
        return read_coco(path)

    monkeypatch.setattr("yolact_bench.data.annotations.read_coco", count)
    yield calls


def test_what_is_kept_gives_what_reading_gives(tmp_path: Path, parses: list[Path]) -> None:
    path, cache = write(tmp_path / "notes.json"), tmp_path / "work" / "cache"
    fresh = everything(read(path))
    assert everything(read(path, cache)) == fresh
    assert everything(read(path, cache)) == fresh
    assert len(parses) == 2, "once without a cache, once with it"
    assert "area computed" in fresh, "findings are kept, too"


def test_other_classes_and_another_file_are_read_anew(tmp_path: Path, parses: list[Path]) -> None:
    path, cache = write(tmp_path / "notes.json"), tmp_path / "cache"
    read(path, cache)
    cups = read(path, cache, "cup")
    assert cups.classes == ("cup",)
    assert len(cups.objects(0)) == 4, "those of image 30 but the empty one"
    write(path, annotations=[square_annotation(1, 30, category_id=3)], info="y" * SMALLEST)
    assert len(read(path, cache).objects(0)) == 1
    assert len(parses) == 3


def test_without_a_work_directory_nothing_is_written(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path / "set", content() | {"info": "x" * SMALLEST})
    assert spec.cache is None
    before = sorted(tmp_path.rglob("*"))
    open_dataset(spec, "val")
    spec.fingerprint("val")
    assert sorted(tmp_path.rglob("*")) == before


def test_sizes_that_come_from_images_are_looked_up_again(
    tmp_path: Path, parses: list[Path]
) -> None:
    """They may be other ones while the annotation file stays the same."""
    images = [{**one, "width": None} for one in content()["images"]]
    path, cache = write(tmp_path / "notes.json", images=images), tmp_path / "cache"
    for size in ((60, 40), (61, 40)):
        annotations = read_annotations(
            path,
            ("cat", "cup"),
            subset=False,
            split="train",
            size_of=lambda name, size=size: size,  # type: ignore[misc]
            cache=cache,
        )
        assert annotations.images[0].width == size[0]


def test_a_process_is_sent_a_path_and_not_the_arrays(tmp_path: Path) -> None:
    annotations = [square_annotation(number, 30) for number in range(300)]
    path = write(tmp_path / "notes.json", annotations=annotations)
    kept = read(path, tmp_path / "cache")
    sent, whole = pickle.dumps(kept), pickle.dumps(read(path))
    assert len(whole) > 300 * 8 * 8, "eight coordinates of eight bytes each"
    assert len(sent) < 1000
    assert everything(pickle.loads(sent)) == everything(pickle.loads(whole))


def test_a_process_that_is_sent_a_split_opens_it_without_parsing(
    tmp_path: Path, parses: list[Path]
) -> None:
    spec = tiny_spec(tmp_path / "set", content() | {"info": "x" * SMALLEST})
    spec = replace(spec, cache=tmp_path / "work" / "cache")
    files = spec.split("val").files
    assert files is not None
    minute_ago = files[1].stat().st_mtime - 60
    os.utime(files[1], (minute_ago, minute_ago))
    truth = open_dataset(spec, "val").ground_truth()
    sent = pickle.loads(pickle.dumps(spec.portable()))
    assert open_dataset(sent, "val").ground_truth() == truth
    assert len(parses) == 1


def test_ids_beyond_the_numbers_of_a_machine_are_read_but_not_kept(
    tmp_path: Path, parses: list[Path]
) -> None:
    path = write(tmp_path / "notes.json", annotations=[square_annotation(2**70, 30)])
    for _ in range(2):
        truth: Any = read(path, tmp_path / "cache").ground_truth()
        assert [one["id"] for one in truth["annotations"]] == [2**70]
    assert len(parses) == 2


def test_a_name_that_is_no_unicode_is_kept_as_it_is(tmp_path: Path) -> None:
    images = [{**one, "file_name": f"\ud800{one['id']}.png"} for one in content()["images"]]
    path = write(tmp_path / "notes.json", images=images)
    for _ in range(2):
        assert read(path, tmp_path / "cache").images[1].file_name == "\ud80010.png"


def test_the_text_of_a_large_file_is_read_as_its_objects_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "notes.json")
    assert isinstance(read_coco(path)["annotations"], list)
    whole = everything(read(path))
    monkeypatch.setattr(json_file, "_LARGEST_BY_HAND", SMALLEST)
    entries = read_coco(path)["annotations"]
    assert isinstance(entries, TextEntries)
    assert list(entries.values("category_id")) == [7, 7, 3, 7, 7, 7, 7]
    assert everything(read(path)) == whole


def test_a_large_file_that_only_the_other_reader_accepts_is_read(large: Path) -> None:
    annotations = [square_annotation(1, 30, area=float("nan")), square_annotation(2, 10)]
    write(large, annotations=annotations)
    assert "NaN" in large.read_text()[-1000:]
    assert "area computed" in [one.kind for one in read(large).findings]


def test_a_large_file_that_none_accepts_is_refused_with_the_place(large: Path) -> None:
    write(large).write_text(large.read_text() + "]")
    with pytest.raises(SpecError, match=r"large.json:1:\d+: not JSON \(Extra data: a second"):
        read(large)


@pytest.mark.parametrize("entry", [3, None, "text", [1], {"category_id": 7, "id": "\udc00"}])
def test_entries_that_are_none_are_mistakes_in_text_as_in_objects(
    large: Path, entry: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(large, 1, annotations=[entry, square_annotation(1, 30)])
    results = []
    for limit in (0, SMALLEST):
        monkeypatch.setattr(json_file, "_LARGEST_BY_HAND", limit)
        try:
            results.append(everything(read(large)))
        except SpecError as error:
            results.append(str(error))
    assert results[0] == results[1]


def test_annotations_are_read_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "notes.json")
    whole = everything(read(path))
    monkeypatch.setattr(plain, "_CHUNK", 2)
    assert everything(read(path)) == whole


def test_the_digest_of_a_large_file_is_computed_once(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "notes.json"), tmp_path / "cache"
    digest = file_sha256(path, cache)
    (kept,) = cache.iterdir()
    assert file_sha256(path) == digest
    assert digest.encode() in kept.read_bytes()


def test_what_is_kept_cannot_be_changed_by_its_users(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "notes.json"), tmp_path / "cache"
    read(path, cache)
    kept = read(path, cache)
    before = everything(kept)
    objects = kept.objects(0)
    np.negative(objects.boxes_px, out=objects.boxes_px)
    np.negative(objects.labels, out=objects.labels)
    for segment in objects.segments:
        for part in segment if isinstance(segment, tuple) else (segment,):
            np.multiply(part, 0, out=part)
    assert everything(kept) == before
