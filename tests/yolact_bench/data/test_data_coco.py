"""COCO-format sets: what is read, what is left out, what is refused."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.coco_categories import COCO_CATEGORY_IDS
from tests.support.data_fixtures import (
    SIZE,
    coco_subset,
    square_annotation,
    tiny_content,
    tiny_spec,
)
from yolact_bench.coco_file.segmentation import SIZE_OF_RLE, usable_box, usable_mask
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.data.coco import CocoDataset
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.findings import PART
from yolact_bench.published_datasets import COCO_CLASSES

mask = pytest.importorskip("pycocotools.mask")
HEIGHT, WIDTH = SIZE


def opened(folder: Path, content: dict[str, Any] | None = None, yaml_tail: str = "") -> Dataset:
    return open_dataset(tiny_spec(folder / "set", content, yaml_tail=yaml_tail), "train")


def with_annotations(*more: dict[str, Any]) -> dict[str, Any]:
    content = tiny_content()
    content["annotations"] += more
    return content


def test_labels_follow_category_ids_and_category_ids_are_the_files(tmp_path: Path) -> None:
    """Categories 3 and 7, in id order: cat is label 0, cup is label 1."""
    dataset = opened(tmp_path)
    assert dataset.classes == ("cat", "cup")
    assert dataset.category_ids == (3, 7)
    assert dataset.objects(0).labels.tolist() == [1, 0]
    assert dataset.objects(0).boxes_px.tolist() == [[5, 10, 15, 20]] * 2


def test_a_subset_is_labelled_in_its_own_order_and_others_are_left_out(tmp_path: Path) -> None:
    dataset = opened(tmp_path, yaml_tail="classes: [cup]\n")
    assert dataset.category_ids == (7,)
    assert dataset.objects(0).labels.tolist() == [0]
    truth = dataset.ground_truth()
    assert truth["categories"] == [{"id": 7, "name": "cup"}]
    assert [one["category_id"] for one in truth["annotations"]] == [7]  # type: ignore[attr-defined]
    assert not dataset.findings


def test_images_without_annotations_are_kept(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    assert [dataset.image_id(index) for index in range(len(dataset))] == [30, 10]
    assert len(dataset.objects(1)) == 0
    assert dataset.objects(1).boxes_px.shape == (0, 4)


def test_an_image_is_rgb(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    blue = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    blue[..., 0] = 255  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "set" / "images" / "30.png"), blue)
    assert dataset.image(0)[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("compressed", [False, True])
def test_crowds_come_last_with_the_pixels_of_their_rle(tmp_path: Path, compressed: bool) -> None:
    bitmap = np.zeros(SIZE, np.uint8)
    bitmap[3:30, 4:50] = np.random.default_rng(0).integers(0, 2, (27, 46))
    rle = mask.encode(np.asfortranarray(bitmap))
    rle = {"size": list(SIZE), "counts": rle["counts"].decode()}
    if not compressed:
        flat = np.flatnonzero(np.diff(bitmap.T.ravel())) + 1
        rle["counts"] = np.diff([0, *flat, bitmap.size]).tolist()
    content = tiny_content()
    crowd = square_annotation(3, 30, segmentation=rle, iscrowd=1)
    content["annotations"].insert(0, crowd)
    objects = opened(tmp_path, content).objects(0)
    assert objects.is_crowd.tolist() == [False, False, True]
    assert np.array_equal(objects.segments[2], bitmap)


WHOLE = HEIGHT * WIDTH
DEGENERATE = {
    "zero area": {"segmentation": [[1, 1, 5, 5, 9, 9]]},
    "zero area ": {"segmentation": {"size": [*SIZE], "counts": [WHOLE]}},
    "fewer than three points": {"segmentation": [[1.0, 2.0, 3.0, 4.0]]},
    "no segmentation": {"segmentation": []},
    "no segmentation ": {"segmentation": None},
    "no segmentation  ": {"segmentation": [[]]},
    "outside the image": {"segmentation": [[-9, 1, -2, 1, -2, 9]]},
    "unreadable polygon": {"segmentation": [[1, 2, 3, 4, 5]]},
    "unreadable polygon ": {"segmentation": [[1, 2, None, 4, 5, 6]]},
    "unreadable polygon  ": {"segmentation": [[0, 0, 1e9, 0, 1e9, 5]]},
    "unreadable polygon   ": {"segmentation": [[0, 0, float("nan"), 0, 3, 5]]},
    "unreadable RLE": {"segmentation": {"size": [*SIZE], "counts": "garbage"}},
    "unreadable RLE ": {"segmentation": {"size": [*SIZE], "counts": [5, WHOLE]}},
    SIZE_OF_RLE: {"segmentation": {"size": [1, 1], "counts": [0, 1]}},
    "unreadable RLE   ": {"segmentation": {"size": [*SIZE], "counts": [WHOLE + 5, -5]}},
    "unreadable RLE    ": {"segmentation": {"counts": [WHOLE]}},
}


@pytest.mark.parametrize("reason", DEGENERATE)
def test_a_degenerate_annotation_is_left_out_and_counted(tmp_path: Path, reason: str) -> None:
    content = with_annotations(square_annotation(9, 10, **DEGENERATE[reason]))
    dataset = opened(tmp_path, content)
    assert [one.text for one in dataset.findings] == [reason.strip()]
    assert [one.where for one in dataset.findings] == ["image 10: annotation 9"]
    assert len(dataset.objects(1)) == 0
    assert [one["id"] for one in dataset.ground_truth()["annotations"]] == [1, 2]  # type: ignore[attr-defined]


def test_a_part_of_two_points_is_dropped_while_another_part_remains() -> None:
    mask = usable_mask([[1, 1, 2, 2], [0, 0, 4, 0, 4, 4, 0, 4]], 9, 9)
    assert len(mask.outlines) == 1
    assert mask.area == 16
    assert mask.repairs == ((PART, "fewer than three points"),)


def test_a_box_that_reaches_into_the_image_is_used() -> None:
    assert usable_box([-5.0, -5.0, 6.0, 6.0], 9, 9) == (-5, -5, 6, 6)


def test_missing_crowd_flag_and_area_are_filled_in_for_scoring(tmp_path: Path) -> None:
    content = tiny_content()
    for key in ("iscrowd", "area"):
        del content["annotations"][0][key]
    truth = opened(tmp_path, content).ground_truth()
    first = truth["annotations"][0]  # type: ignore[index]
    assert (first["iscrowd"], first["area"]) == (0, 100.0)  # 10 x 10 px


def _set(*path: object, value: object) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        place: Any = content
        for key in path[:-1]:
            place = place[key]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return change


WRONG = {
    r"images\[1\]: the id 30 is used twice, for 30.png and 10.png": _set(
        "images", 1, "id", value=30
    ),
    r"the list 'annotations' is missing; add it": _set("annotations", value=None),
    r"images\[0\]: expected an object with id, file_name, height, width, got 5": _set(
        "images", 0, value=5
    ),
    r"no usable annotation .*; annotate objects of them, or name other": _set(
        "annotations", value=[]
    ),
    r"'images' is empty; list the images": _set("images", value=[]),
    r"1 of its 2 images cannot be used; .*: nowhere\.png: does not exist": _set(
        "images", 0, "file_name", value="nowhere.png"
    ),
    r"categories\[1\]: the id 7 is used twice, for 'cup' and 'cat'": _set(
        "categories", 1, "id", value=7
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_an_inconsistent_file_is_refused_before_training(tmp_path: Path, message: str) -> None:
    content = copy.deepcopy(tiny_content())
    WRONG[message](content)
    with pytest.raises(SpecError, match=message):
        opened(tmp_path, content)


def test_malformed_json_is_refused_with_its_line_and_column(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path / "set")
    (tmp_path / "set" / "notes.json").write_text('{"images": [],\n "annotations": [}')
    with pytest.raises(SpecError, match=r"notes\.json:2:18: not JSON .*; correct it there"):
        open_dataset(spec, "train")


def test_a_class_that_the_file_does_not_have_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no category is named 'cupp' \(did you mean 'cup'\?\)"):
        opened(tmp_path, yaml_tail="classes: [cupp]\n")


def test_a_broken_or_wrongly_sized_image_is_an_arm_error_naming_the_file(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    path = tmp_path / "set" / "images" / "30.png"
    whole = path.read_bytes()
    for content, message in (
        (whole[:-30], "truncated"),
        (b"no image", "cannot be decoded"),
        (
            cv2.imencode(".png", np.zeros((5, 6, 3), np.uint8))[1].tobytes(),
            "6 x 5 px, but annotated as .*; write its width",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(ArmError, match=f"30.png: .*{message}") as caught:
            dataset.image(0)
        assert caught.value.kind == "bad_image"
    path.unlink()
    with pytest.raises(ArmError, match=r"30\.png: cannot be read .*; restore it"):
        dataset.image(0)


def test_a_truncated_jpeg_is_noticed_though_its_thumbnail_is_whole(tmp_path: Path) -> None:
    """An application segment with an end marker in it, as cameras write."""
    dataset = opened(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    thumbnail = b"\xff\xe1\x00\x08" + b"ab\xff\xd9cd"
    jpeg = jpeg[:2] + thumbnail + jpeg[2:]
    path = tmp_path / "set" / "images" / "30.png"
    path.write_bytes(jpeg)
    assert dataset.image(0).shape == (*SIZE, 3)
    path.write_bytes(jpeg[: len(jpeg) // 2])
    with pytest.raises(ArmError, match="truncated"):
        dataset.image(0)


def test_test_images_need_no_annotations(tmp_path: Path) -> None:
    tiny_spec(tmp_path / "set")
    content = tiny_content()
    del content["annotations"]
    (tmp_path / "set" / "test.json").write_text(json.dumps(content))
    files = FileSplit(
        images=tmp_path / "set" / "images", annotations=tmp_path / "set" / "test.json"
    )
    spec = DatasetSpec(name="x", kind="coco_format", classes=("cat", "cup"), splits={"test": files})
    dataset = open_dataset(spec, "test")
    assert len(dataset) == 2
    assert dataset.ground_truth()["annotations"] == []


@pytest.mark.skipif(coco_subset() is None, reason="no COCO subset at hand")
def test_the_real_subset_opens_whole_and_its_crowds_decode_as_pycocotools_has_them() -> None:
    """130 images, 1209 annotations of which 13 crowds, one image without any: its README."""
    root = coco_subset()
    assert root is not None
    notes = root / "annotations" / "instances_train.json"
    spec = DatasetSpec(
        name="subset",
        kind="coco_format",
        classes=COCO_CLASSES,
        splits={"train": FileSplit(images=root / "images", annotations=notes)},
    )
    dataset = open_dataset(spec, "train")
    assert isinstance(dataset, CocoDataset)
    assert dataset.category_ids == COCO_CATEGORY_IDS
    objects = [dataset.objects(index) for index in range(len(dataset))]
    assert len(dataset) == 130
    assert sum(len(one) for one in objects) == 1209
    assert sum(one.is_crowd.sum() for one in objects) == 13
    assert [dataset.image_id(i) for i, one in enumerate(objects) if not len(one)] == [262284]
    assert not dataset.findings
    raw = [one for one in json.loads(notes.read_text())["annotations"] if one["iscrowd"]]
    decoded = {
        one["image_id"]: mask.decode(mask.frPyObjects(one["segmentation"], *size))
        for one in raw
        for size in [one["segmentation"]["size"]]
    }
    for index, one in enumerate(objects):
        if one.is_crowd.sum() == 1:
            assert np.array_equal(one.segments[-1], decoded[dataset.image_id(index)])
