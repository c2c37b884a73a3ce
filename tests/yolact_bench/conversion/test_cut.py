"""Splits of an annotation file: by seed and group, whatever the order, copies together."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.drawn_sources import HEIGHT, WIDTH, save
from yolact_bench.conversion.cut import cut
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.errors import SpecError

IMAGES = 20


def write(folder: Path, *, backwards: bool = False) -> Path:
    """Twenty images of five cameras, with one object each."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(IMAGES):
        name = f"camera{number % 5}_{number}.png"
        random = np.random.default_rng(number)
        save(folder / "images" / name, random.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
        images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        outline = [5, 5, 15, 5, 15, 15, 5, 15]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "area": 100})
        annotations[-1] |= {"bbox": [5, 5, 10, 10], "segmentation": [outline], "note": "kept"}
    content = {"images": images, "annotations": annotations, "info": {"year": 2026}}
    content["categories"] = [{"id": 1, "name": "part"}]
    if backwards:
        content["images"] = images[::-1]
    (folder / "all.json").write_text(json.dumps(content))
    return folder / "all.json"


def names(file: Path) -> set[str]:
    return {one["file_name"] for one in json.loads(file.read_text())["images"]}


def parts(file: Path, out: str = "out", **options: float | str) -> dict[str, set[str]]:
    folder = file.parent
    settings: dict[str, Any] = options
    written = cut(file, folder / "images", folder / out, **settings)
    return {split: names(path) for split, path in written.annotations.items()}


def test_splits_are_disjoint_and_as_large_as_asked(tmp_path: Path) -> None:
    found = parts(write(tmp_path), val=0.2, test=0.1)
    assert {split: len(one) for split, one in found.items()} == {"train": 14, "val": 4, "test": 2}
    assert len(set.union(*found.values())) == IMAGES
    file = str(tmp_path / "out" / "dataset.yaml")
    spec = resolve_dataset({"name": "coco_format", "file": file}, data_root=None)
    assert len(open_dataset(spec, "val")) == 4
    content = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())
    assert {one["note"] for one in content["annotations"]} == {"kept"}
    assert {one["image_id"] for one in content["annotations"]} == {
        one["id"] for one in content["images"]
    }


def test_the_seed_decides_and_the_order_of_the_file_does_not(tmp_path: Path) -> None:
    one = parts(write(tmp_path / "a"), val=0.3)
    assert parts(write(tmp_path / "b", backwards=True), val=0.3) == one
    assert parts(tmp_path / "a" / "all.json", "other", val=0.3, seed=1) != one


def test_a_group_stays_together(tmp_path: Path) -> None:
    found = parts(write(tmp_path), val=0.4, group=r"camera(\d)")
    cameras = {split: {name[6] for name in one} for split, one in found.items()}
    assert not cameras["train"] & cameras["val"]
    assert len(found["val"]) == 8


def test_copies_of_an_image_stay_together(tmp_path: Path) -> None:
    file = write(tmp_path)
    first = (tmp_path / "images" / "camera0_0.png").read_bytes()
    copies = {"camera0_0.png", *(f"camera{n % 5}_{n}.png" for n in range(1, 7))}
    for name in copies:
        (tmp_path / "images" / name).write_bytes(first)
    for seed in range(4):
        found = parts(file, f"out{seed}", val=0.3, seed=seed)
        assert copies <= found["train"] or copies <= found["val"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 0.0}, "below 1"),
        ({"val": 0.6, "test": 0.5}, "below 1"),
        ({"val": float("nan")}, "below 1"),
        ({"val": 0.2, "group": "("}, "regular expression"),
        ({"val": 0.2, "group": "film"}, "not found in"),
        ({"val": 0.2, "group": "camera"}, "no image is left"),
    ],
)
def test_what_cannot_be_cut(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        parts(write(tmp_path), **options)
    assert not (tmp_path / "out").exists()
