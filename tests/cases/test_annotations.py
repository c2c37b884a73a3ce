"""Annotations as tools write them, mended and counted.

Rectangles of `base_content`: a is 30 x 24 px, b is 36 x 32 px, so that areas are 720 and 1152.
"""

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle

from tests.cases.annotation_changes import Change, changed, every, first, opened, truth
from tests.cases.base_set import base_content, write_base
from yolact_bench import findings as kinds
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.findings import count_kinds

SQUARE = [8, 10, 38, 10, 38, 34, 8, 34]  # the outline of the first object
BOX = [8, 10, 30, 24]
MASK = np.zeros((72, 96), np.uint8, order="F")
MASK[10:34, 8:38] = 1
MENDED: list[tuple[str, int, Change]] = [
    *[(kinds.AREA, 1, first(area=area)) for area in (None, "320.0", 0, float("nan"), -5, True)],
    (kinds.AREA, 1, first(area=...)),
    *[(kinds.CROWD, 1, first(iscrowd=flag)) for flag in (None, "0", False, "false")],
    *[(kinds.POLYGON, 1, first(segmentation=shape)) for shape in (
        SQUARE,
        [[8, 10], [38, 10], [38, 34], [8, 34]],
        [[[8, 10], [38, 10], [38, 34], [8, 34]]],
    )],
    (kinds.POLYGON, 12, every("annotations", segmentation=lambda one: one["segmentation"][0])),
    *[(kinds.PART, 1, first(segmentation=shape)) for shape in (
        [[1, 1, 2, 2], SQUARE],
        [SQUARE, [1, 1, 2, 2]],
        [SQUARE, [1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, None, 4, 5, 6], SQUARE],
        [SQUARE, []],
    )],
    *[(kinds.BOX, 1, first(bbox=box)) for box in (
        None, [], [8, 10, 30], [8, 10, 1e-9, 24], [8, 10, 0, 24], [8, 10, -30, 24], "8 10 30 24",
        [8, 10, float("nan"), 24], [800, 10, 30, 24], [60, 60, 5, 5], ["8", 10, 30, 24],
    )],
    (kinds.BOX, 1, first(bbox=...)),
    (kinds.BOX, 12, every("annotations", bbox=lambda one: [0, 0, 0, 0])),
    (kinds.NUMBER, 12, every("annotations", id=lambda one: str(one["id"]))),
    (kinds.NUMBER, 12, every("annotations", image_id=lambda one: f"{one['image_id']}")),
    (kinds.NUMBER, 12, every("annotations", category_id=lambda one: float(one["category_id"]))),
    (kinds.NUMBER, 6, every("images", id=lambda one: str(one["id"]))),
    (kinds.NUMBER, 6, every("images", width=lambda one: str(one["width"]))),
    (kinds.NUMBER, 2, every("categories", id=lambda one: float(one["id"]))),
    (kinds.IMAGE_SIZE, 6, every("images", width=lambda one: None)),
    (kinds.IMAGE_SIZE, 6, every("images", height=lambda one: 0)),
    (kinds.NEW_ID, 1, first(id=2)),
    (kinds.NEW_ID, 1, first(id=None)),
    (kinds.NEW_ID, 1, first(id=...)),
    (kinds.NEW_ID, 11, every("annotations", id=lambda one: 7)),
    (kinds.REPEATED_ANNOTATION, 1, lambda content: content["annotations"].append(
        dict(content["annotations"][3])
    )),
    (kinds.REPEATED_IMAGE, 1, lambda content: content["images"].append(
        dict(content["images"][3])
    )),
    (kinds.NO_IMAGE, 1, lambda content: content["annotations"].append(
        content["annotations"][0] | {"id": 99, "image_id": 77}
    )),
    (kinds.NO_CATEGORY, 1, lambda content: content["annotations"].append(
        content["annotations"][0] | {"id": 99, "category_id": 9}
    )),
    (kinds.EXTRA_CATEGORY, 1, lambda content: content["categories"].append(
        {"id": 5, "name": "things"}
    )),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "number", "change"), MENDED)
def test_what_is_mended_scores_as_if_it_had_been_right(
    tmp_path: Path, kind: str, number: int, change: Change
) -> None:
    dataset = opened(tmp_path, changed(change))
    assert count_kinds(dataset.findings) == {kind: number}
    right = opened(tmp_path / "right", base_content())
    assert len(truth(dataset)) == len(truth(right)) == 12
    for mended, clean in zip(truth(dataset), truth(right), strict=True):
        ids = {"id": mended["id"]} if kind == kinds.NEW_ID else {}
        assert mended == clean | ids
    assert len({one["id"] for one in truth(dataset)}) == 12
    for index in range(6):
        assert (dataset.objects(index).boxes_px == right.objects(index).boxes_px).all()


def test_counts_of_an_rle_that_python_printed_as_bytes_are_read(tmp_path: Path) -> None:
    printed = str(rle.encode(MASK)["counts"])
    assert printed.startswith("b'")
    content = changed(first(segmentation={"size": [72, 96], "counts": printed}))
    dataset = opened(tmp_path, content)
    assert count_kinds(dataset.findings) == {kinds.POLYGON: 1}
    runs = rle.frPyObjects(truth(dataset)[0]["segmentation"], 72, 96)
    assert (rle.decode(runs) == MASK).all()


@pytest.mark.parametrize("crowd", [1, "1", True, "true"])
def test_a_crowd_is_one_in_every_form(tmp_path: Path, crowd: object) -> None:
    dataset = opened(tmp_path, changed(first(iscrowd=crowd)))
    assert [one["iscrowd"] for one in truth(dataset)] == [1, *[0] * 11]
    assert dataset.objects(0).is_crowd.tolist() == [False, True]
    assert count_kinds(dataset.findings) == (
        {} if crowd == 1 and crowd is not True else {kinds.CROWD: 1}
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"segmentation": ...}, "no segmentation"),
        ({"segmentation": None}, "no segmentation"),
        ({"segmentation": []}, "no segmentation"),
        ({"segmentation": [[]]}, "no segmentation"),
        ({"segmentation": [[8, 10, 38, 10]]}, "fewer than three points"),
        ({"segmentation": [[8, 10, 8 + 1e-9, 10, 8 + 1e-9, 34, 8, 34]]}, "zero area"),
        (
            {"segmentation": {"size": [96, 72], "counts": [0, 72 * 96]}},
            "RLE whose size is not [height, width] of the image",
        ),
        ({"segmentation": {"size": [72, 96], "counts": "b'garbage"}}, "unreadable RLE"),
    ],
)
def test_what_has_no_usable_mask_is_left_out_and_counted(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    dataset = opened(tmp_path, changed(first(**changes)))
    assert count_kinds(dataset.findings) == {kinds.LEFT_OUT: 1}
    (finding,) = dataset.findings
    assert (finding.where, finding.text) == ("image 1: annotation 1", reason)
    assert [one["id"] for one in truth(dataset)] == list(range(2, 13))


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (first(bbox=[8, 10, 60, 60]), kinds.BOX_DIFFERS, "where the mask is in [8, 10, 30, 24]"),
        (first(area=9.0), kinds.AREA_DIFFERS, "area 9, where the mask has 720"),
        (
            first(segmentation=[[8, 10, 38, 10, 8, 11]]),
            kinds.AREA_DIFFERS,
            "area 720 (that of the box), where the mask has 15",
        ),
    ],
)
def test_a_doubtful_value_counts_as_it_is_written_and_is_listed(
    tmp_path: Path, change: Change, kind: str, text: str
) -> None:
    content = changed(change)
    dataset = opened(tmp_path, content)
    listed = [finding.text for finding in dataset.findings if finding.kind == kind]
    assert len(listed) == 1
    assert listed[0].endswith(text)
    for key in ("bbox", "area"):
        assert truth(dataset)[0][key] == content["annotations"][0][key]


def test_many_objects_in_an_image_are_listed(tmp_path: Path) -> None:
    content = base_content()
    one = content["annotations"][0]
    content["annotations"] += [one | {"id": 100 + number} for number in range(100)]
    dataset = opened(tmp_path, content)
    assert [(f.kind, f.where, f.text) for f in dataset.findings] == [
        (kinds.MANY_OBJECTS, "image 1", "101 objects of class a")
    ]


def test_the_flag_ignore_is_kept_for_scoring(tmp_path: Path) -> None:
    flags = [one.get("ignore", 0) for one in truth(opened(tmp_path, changed(first(ignore=1))))]
    assert flags == [1, *[0] * 11]


def test_a_file_as_large_as_findings_is_counted_not_listed(tmp_path: Path) -> None:
    """1,012 missing areas: 1,000 one by one, the rest as one."""
    content = changed(every("annotations", area=lambda one: None))
    one = content["annotations"][0]
    content["annotations"] += [one | {"id": number} for number in range(101, 1101)]
    areas = [f for f in opened(tmp_path, content).findings if f.kind == kinds.AREA]
    assert [len(areas), areas[-1].count] == [1001, 12]
    assert count_kinds(areas) == {kinds.AREA: 1012}


@pytest.mark.parametrize(
    ("box", "side", "is_listed"),
    [
        ((10, 10, 1.9, 30), 18, True),  # cells of 5.33 x 4 px, centres at 8 and 13.33: none
        ((12, 10, 1.9, 30), 18, False),
        ((10, 10.5, 30, 1.4), 18, True),  # centres at 10 and 14
        ((10, 9.5, 30, 1.4), 18, False),
        ((10, 10, 1.9, 30), 96, False),
    ],
)
def test_an_object_between_the_cells_of_a_mask_is_listed_at_its_size(
    tmp_path: Path, box: tuple[float, ...], side: int, is_listed: bool
) -> None:
    x, y, width, height = box
    outline = [x, y, x + width, y, x + width, y + height, x, y + height]
    content = changed(first(bbox=list(box), segmentation=[outline], area=width * height))
    small = opened(tmp_path, content).without_cell(side)
    assert [(one.kind, one.where) for one in small] == [
        (kinds.NO_CELL, "image 1: annotation 1")
    ] * is_listed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_may_begin_with_a_mark_or_be_in_utf_16(tmp_path: Path, encoding: str) -> None:
    path = write_base(tmp_path)
    file = tmp_path / "val.json"
    file.write_bytes(file.read_text().replace('"b"', '"ö"').encode(encoding))
    file = tmp_path / "train.json"
    file.write_bytes(file.read_text().replace('"b"', '"ö"').encode(encoding))
    spec = resolve_dataset(dataset_choice(str(path), relative_to=tmp_path), data_root=None)
    assert spec.classes == ("a", "ö")
    assert not open_dataset(spec, "val").findings


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = write_base(tmp_path)
    file = tmp_path / "train.json"
    file.write_bytes(file.read_text().replace('"b"', '\n"ö"').encode("latin-1"))
    message = r"train.json:2: not JSON \(not a text in UTF-8: byte 0xf6, as in Latin-1.*iconv"
    with pytest.raises(SpecError, match=message):
        resolve_dataset(dataset_choice(str(path), relative_to=tmp_path), data_root=None)
