"""Annotations that cannot be meant are refused before any training, with what they look like.

One annotated image has 96 x 72 px.
"""

from pathlib import Path

import pytest

from tests.cases.annotation_changes import Change, Content, changed, every, first, opened
from yolact_bench.errors import SpecError


def corners(one: Content) -> list[float]:
    x, y, width, height = one["bbox"]
    return [x, y, x + width, y + height]


REFUSED: list[tuple[Change, str]] = [
    (every("annotations", bbox=corners), r"12 of 12 boxes look like corners \[x1, y1, x2, y2\]"),
    (
        every("annotations", bbox=lambda o: [o["bbox"][i] / (96, 72)[i % 2] for i in range(4)]),
        "12 of 12 boxes look like fractions of the image",
    ),
    (
        every("annotations", bbox=lambda o: [corners(o)[i] / (96, 72)[i % 2] for i in range(4)]),
        "12 of 12 boxes look like corners as fractions of the image",
    ),
    (
        every("annotations", bbox=lambda o: [2 * number for number in o["bbox"]]),
        "boxes look like boxes of an image of another size, 2 times as large",
    ),
    (
        every("annotations", bbox=lambda o: [number / 2 for number in o["bbox"]]),
        "boxes look like boxes of an image of another size, 0.5 times as large",
    ),
    (
        every("annotations", bbox=lambda o: [*o["bbox"][:2], 2 * o["bbox"][2], 2 * o["bbox"][3]]),
        "boxes look like sides that are 2 times too long",
    ),
    (
        every(
            "annotations",
            bbox=lambda o: [
                o["bbox"][0] + o["bbox"][2] / 2, o["bbox"][1] + o["bbox"][3] / 2, *o["bbox"][2:],
            ],
        ),
        r"boxes look like centres with sizes \[cx, cy, width, height\]",
    ),
    (
        every(
            "annotations",
            segmentation=lambda o: [
                [n / (96, 72)[i % 2] for i, n in enumerate(o["segmentation"][0])]
            ],
        ),
        "its masks are all within the first pixel: they look like fractions of the image",
    ),
    (
        every(  # b ends outside the image, a reaches to y = 102
            "annotations",
            bbox=lambda o: [n * (1.6, 3)[i % 2] for i, n in enumerate(o["bbox"])],
            segmentation=lambda o: [
                [n * (1.6, 3)[i % 2] for i, n in enumerate(o["segmentation"][0])]
            ],
        ),
        "6 of 6 boxes reach far beyond their images; they look like those of larger images",
    ),
    (
        every(  # b begins at x = 100, a ends at 76
            "annotations",
            bbox=lambda o: [2 * n for n in o["bbox"]],
            segmentation=lambda o: [[2 * n for n in o["segmentation"][0]]],
        ),
        "6 of 12 annotations are outside their images; they look like those of larger images",
    ),
    (
        every("annotations", image_id=lambda o: o["image_id"] + 100),
        "none of 12 annotations is of an image that is listed",
    ),
    (
        every("images", width=lambda o: 7, height=lambda o: 9),
        "12 of 12 annotations are outside their images; they look like those of larger images",
    ),
    (every("annotations", iscrowd=lambda o: 1), "all 12 usable annotations have iscrowd 1"),
    (
        every("annotations", segmentation=lambda o: []),
        "boxes only: none of 12 annotations has a segmentation: this is a detection set",
    ),
    (
        every("annotations", category_id=lambda o: o["category_id"] - 1),
        r"6 annotations have a category_id that no category has \(0\); all of them look smaller",
    ),
    (
        every("annotations", category_id=lambda o: o["category_id"] + 7),
        r"12 annotations, most of them, have a category_id that no category has \(8, 9\)",
    ),
    (
        every("images", neg_category_ids=lambda o: [1]),
        "as in LVIS: not every object is annotated, and COCO's AP would count the others",
    ),
    (
        lambda content: content["images"].append({**content["images"][0], "file_name": "2.png"}),
        r"images\[6\]: the id 1 is used twice, for 1.png and 2.png",
    ),
    (first(iscrowd=2), r"annotations\[0\]: annotation 1: iscrowd: expected 0 or 1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED)
@pytest.mark.parametrize("split", ["train", "val"])
def test_what_cannot_be_meant_is_refused_before_training(
    tmp_path: Path, change: Change, message: str, split: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        opened(tmp_path, changed(change), split)
    assert str(caught.value).startswith(f"{tmp_path / split}.json: ")


def test_all_mistakes_of_a_file_are_in_one_message_at_most_20_of_them(tmp_path: Path) -> None:
    """12 flags, 12 images and a category: 25 mistakes."""
    content = changed(every("annotations", iscrowd=lambda one: 7))
    content["images"] += [{"id": f"n{number}", "file_name": "1.png"} for number in range(12)]
    content["categories"].append({"id": 1, "name": "c"})
    with pytest.raises(SpecError, match="25 mistakes") as caught:
        opened(tmp_path, content)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[1] == "  images[6]: id: expected a whole number, got 'n0'"
    assert lines[-1] == "  and 5 more"
