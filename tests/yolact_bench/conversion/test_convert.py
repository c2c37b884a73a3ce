"""Every format gives the objects that were drawn, through the data set that reads them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support import drawn_sources
from tests.support.drawn_sources import SCENES, SOURCES, bitmap, photo, save
from yolact_bench.conversion.convert import convert
from yolact_bench.conversion.pictures import Settings
from yolact_bench.data import open_dataset
from yolact_bench.data.objects import Segment
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.findings import EMPTY_CLASS


def pixels_of(segment: Segment) -> np.ndarray:
    """Outlines here are rectangles at whole pixels."""
    if not isinstance(segment, tuple):
        return segment.astype(bool)
    (left, top), (right, bottom) = segment[0].min(axis=0), segment[0].max(axis=0)
    return bitmap(("", *(round(one) for one in (left, top, right, bottom))))


@pytest.mark.parametrize("source", SOURCES)
def test_objects_are_those_that_were_drawn(source: str, tmp_path: Path) -> None:
    name, draw = SOURCES[source]
    written = convert(draw(tmp_path / "source"), name, tmp_path / "out", Settings())
    file = str(written.dataset_yaml)
    spec = resolve_dataset({"name": "coco_format", "file": file}, data_root=None)
    for split, images in SCENES.items():
        data = open_dataset(spec, split)
        names = [
            Path(one["file_name"]).stem.removesuffix("_leftImg8bit")
            for one in json.loads(written.annotations[split].read_text())["images"]
        ]
        assert sorted(names) == sorted(images)
        for index, stem in enumerate(names):
            objects = data.objects(index)
            found = {
                (data.classes[label], pixels_of(segment).tobytes())
                for label, segment in zip(objects.labels, objects.segments, strict=True)
            }
            assert found == {(box[0], _seen(source, box).tobytes()) for box in images[stem]}
            assert data.image(index).shape[:2] == (drawn_sources.HEIGHT, drawn_sources.WIDTH)
        assert {one.kind for one in data.findings} <= {EMPTY_CLASS}


def _seen(source: str, box: drawn_sources.Box) -> np.ndarray:
    pixels = bitmap(box)
    if source.startswith("voc"):
        pixels[:2] = False  # of no object there
    return pixels


def test_groups_of_cityscapes_are_crowds(tmp_path: Path) -> None:
    source = drawn_sources.cityscapes(tmp_path / "source")
    numbers = np.zeros((drawn_sources.HEIGHT, drawn_sources.WIDTH), np.uint16)
    numbers[3:9, 3:9] = 26
    save(source / "gtFine" / "val" / "ulm" / "two_gtFine_instanceIds.png", numbers)
    written = convert(source, "cityscapes", tmp_path / "out", Settings())
    annotations = json.loads(written.annotations["val"].read_text())["annotations"]
    assert [one["iscrowd"] for one in annotations] == [0, 1]


def test_parts_of_a_group_are_one_object(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    shapes = [
        {"label": "car", "group_id": 3, "shape_type": "polygon", "points": points}
        for points in ([[1, 1], [9, 1], [9, 9]], [[20, 20], [29, 20], [29, 30]])
    ]
    (tmp_path / "a.json").write_text(json.dumps({"imagePath": "a.jpg", "shapes": shapes}))
    written = convert(tmp_path, "labelme", tmp_path / "out", Settings())
    content = json.loads(written.annotations["all"].read_text())
    (one,) = content["annotations"]
    assert len(one["segmentation"]) == 2
    assert one["area"] == pytest.approx(8 * 8 / 2 + 9 * 10 / 2)
    assert one["bbox"] == [1, 1, 28, 29]
    assert written.dataset_yaml is None


@pytest.mark.parametrize(("split_areas", "objects"), [(True, 2), (False, 1)])
def test_one_value_for_two_areas_must_be_said(
    split_areas: bool, objects: int, tmp_path: Path
) -> None:
    photo(tmp_path / "images" / "a.jpg")
    pixels = np.zeros((drawn_sources.HEIGHT, drawn_sources.WIDTH), np.uint8)
    pixels[2:9, 2:9] = pixels[20:30, 20:30] = 255
    save(tmp_path / "masks" / "a.png", pixels)
    with pytest.raises(SpecError, match="split-areas"):
        convert(tmp_path, "masks", tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()
    settings = Settings(classes=("cell",), split_areas=split_areas)
    written = convert(tmp_path, "masks", tmp_path / "out", settings)
    assert written.counts == {"all": (1, objects)}


def test_a_folder_of_masks_has_one_object_each(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg")
    for number in range(3):
        box = ("cell", 5 + number, 5, 20 + number, 20)
        save(tmp_path / "masks" / "a" / f"{number}.png", bitmap(box).astype(np.uint8) * 255)
    written = convert(tmp_path, "masks", tmp_path / "out", Settings())
    assert written.counts == {"all": (1, 3)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "detection set"),
        ("7 0.1 0.1 0.5 0.1 0.5 0.5", "class 7 of 2"),
        ("0 4 5 20 5 20 17", "outside 0 to 1"),
        ("0 0.1 0.1 0.5", "3 coordinates"),
        ("0 0.1 nan 0.5 0.1 0.5 0.5", "outside 0 to 1"),
        ("zero 0.1 0.1 0.5 0.1 0.5 0.5", "class number"),
    ],
)
def test_lines_of_yolo_that_mean_nothing(line: str, message: str, tmp_path: Path) -> None:
    source = drawn_sources.yolo(tmp_path / "source")
    file = source / "train" / "labels" / "one.txt"
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(SpecError, match=f"one.txt:3: .*{message}"):
        convert(source, "yolo", tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()


def test_all_mistakes_come_together(tmp_path: Path) -> None:
    source = drawn_sources.yolo(tmp_path / "source")
    for file in source.rglob("*.txt"):
        file.write_text("9 0.1 0.1 0.5 0.1 0.5 0.5\n" * 10)
    with pytest.raises(SpecError, match=r"(?s)30 mistakes.*and 10 more"):
        convert(source, "yolo", tmp_path / "out", Settings())


def test_colours_are_no_numbers(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.jpg")
    photo(tmp_path / "masks" / "a.png")
    with pytest.raises(SpecError, match=r"a\.png: colours"):
        convert(tmp_path, "masks", tmp_path / "out", Settings())


def test_a_label_beside_the_classes_is_refused(tmp_path: Path) -> None:
    source = drawn_sources.labelme(tmp_path / "source")
    with pytest.raises(SpecError, match="'person' is not among --classes"):
        convert(source, "labelme", tmp_path / "out", Settings(classes=("car",)))
