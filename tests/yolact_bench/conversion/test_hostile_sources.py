"""Sources that are damaged or mean harm: one message, and nothing is written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.drawn_sources import save
from yolact_bench.conversion.convert import convert
from yolact_bench.conversion.cut import cut
from yolact_bench.conversion.pictures import Settings
from yolact_bench.errors import SpecError

SHAPE: Mapping[str, Any] = {"label": "cat", "points": [[1, 1], [9, 1], [9, 9]]}
YAML = "train: images\nnames: [a, b]\n"
XML = "<annotation><object><name>cat</name></object></annotation>"


def labelme(folder: Path, **change: object) -> Path:
    save(folder / "a.png", np.zeros((20, 20, 3), np.uint8))
    content = {"imagePath": "a.png", "shapes": [{**SHAPE, **change}]}
    (folder / "a.json").write_text(json.dumps(content))
    return folder


def yolo(folder: Path, described: str) -> Path:
    save(folder / "images" / "a.png", np.zeros((20, 20, 3), np.uint8))
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (folder / "data.yaml").write_text(described)
    return folder


def voc(folder: Path, xml: bytes) -> Path:
    save(folder / "JPEGImages" / "a.png", np.zeros((20, 20, 3), np.uint8))
    save(folder / "SegmentationObject" / "a.png", np.eye(20, dtype=np.uint8))
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_bytes(xml)
    return folder


def refused(source: Path, name: str, message: str) -> None:
    out = source.parent / "out"
    with pytest.raises(SpecError, match=message):
        convert(source, name, out, Settings())
    assert [one.name for one in source.parent.iterdir()] == [source.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape_type": "ellipse"}, "'ellipse' has no known outline"),
        ({"points": [[1e308, 0], [-1e308, 0], [0, 0]]}, "points: expected 3"),
        ({"label": "a\nb"}, "class name 'a"),
        ({"label": "\x1b[2J"}, "class name"),
        ({"label": " "}, "class name ' '"),
        ({"label": "x" * 201}, "1 to 200 characters"),
    ],
)
def test_shapes_of_labelme(change: dict[str, object], message: str, tmp_path: Path) -> None:
    refused(labelme(tmp_path / "source", **change), "labelme", message)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ("train: images\nnames: {x: a}\n", "numbers from 0 on"),
        ("train: images\nnames: {1: a}\n", "numbers from 0 on"),
        ("train: images\nnames: {0: a, 1.5: b}\n", "numbers from 0 on"),
        ("train: images\nnames: [[a], b]\n", "expected class names"),
        ("train: images\nnames: [a, a]\n", "two classes are named 'a'"),
        ("train: list.txt\nnames: [a]\n", "not UTF-8"),
        ("train: none.txt\nnames: [a]\n", "'train' has no image"),
    ],
)
def test_descriptions_of_yolo(described: str, message: str, tmp_path: Path) -> None:
    source = yolo(tmp_path / "source", described)
    (source / "list.txt").write_bytes(b"\xff\xfe\n")
    (source / "none.txt").write_bytes(b"\n")
    refused(source, "yolo", message)


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (f'<?xml version="1.0" encoding="nonsense"?>{XML}'.encode(), "not XML"),
        (f'<?xml version="1.0" encoding="utf-7"?>{XML}'.encode(), "not XML"),
        (f"<!DOCTYPE a []>{XML}".encode("utf-16"), "not UTF-8"),
        (b"<annotation><object/></annotation>", "class name ''"),
    ],
)
def test_objects_of_voc(xml: bytes, message: str, tmp_path: Path) -> None:
    refused(voc(tmp_path / "source", xml), "voc", message)


def content() -> dict[str, Any]:
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(4)]
    annotations = [{"id": n, "image_id": float(n), "category_id": 1} for n in range(4)]
    return {"images": images, "annotations": annotations, "categories": []}


@pytest.mark.parametrize(
    ("change", "group", "message"),
    [
        ({"annotations": None}, "", "'annotations': expected a list"),
        ({"categories": 5}, "", "'categories': expected a list"),
        ({"images": [{"id": 1, "file_name": n} for n in "ab"]}, "", "an id of its own"),
        ({}, "a{99999999999}", "not a regular expression"),
        ({}, "(" * 2000 + ")" * 2000, "not a regular expression"),
    ],
)
def test_files_that_cannot_be_cut(
    change: dict[str, object], group: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "all.json").write_text(json.dumps(content() | change))
    with pytest.raises(SpecError, match=message):
        cut(tmp_path / "all.json", tmp_path, tmp_path / "out", val=0.5, group=group)


def test_images_that_are_nowhere_are_not_cut(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(json.dumps(content()))
    with pytest.raises(SpecError, match="none of the images"):
        cut(tmp_path / "all.json", tmp_path / "nowhere", tmp_path / "out", val=0.5)


def test_annotations_go_with_their_images_or_are_counted(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", np.full((20, 20, 3), number, np.uint8))
    changed = content()
    changed["annotations"][0]["image_id"] = 77
    changed["images"][1]["file_name"] = "\ud800.png"
    (tmp_path / "all.json").write_text(json.dumps(changed))
    written = cut(tmp_path / "all.json", tmp_path, tmp_path / "out", val=0.5)
    assert sum(objects for _, objects in written.counts.values()) == 3
    assert written.left_out == {"annotation of no image": 1}
