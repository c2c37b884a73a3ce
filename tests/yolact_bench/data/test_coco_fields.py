"""Fields of COCO files: what scoring cannot read is refused before any training."""

import copy
from pathlib import Path
from typing import Any

import pytest

from runners.evaluation.coco.index import truth_index
from tests.support.data_fixtures import square_annotation, tiny_content, tiny_spec
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.errors import SpecError

mask = pytest.importorskip("pycocotools.mask")


def opened(folder: Path, content: dict[str, Any] | None = None, yaml_tail: str = "") -> Dataset:
    return open_dataset(tiny_spec(folder / "set", content, yaml_tail=yaml_tail), "train")


NAN, WHOLE_NUMBER = float("nan"), "expected a whole number"
UNUSABLE: list[tuple[str, str, object, str]] = [
    *[("annotations", "iscrowd", value, "0 or 1") for value in (2, NAN, [], "yes")],
    *[("annotations", "image_id", value, "the id of an image") for value in (None, True, 30.5)],
    *[("annotations", "category_id", value, "the id of a category") for value in (None, NAN)],
    *[("images", "id", value, WHOLE_NUMBER) for value in (None, "thirty", NAN)],
    *[("images", "file_name", value, "the name of a file") for value in (None, 7)],
    *[("categories", "id", value, WHOLE_NUMBER) for value in (None, "three")],
    *[("categories", "name", value, "a text") for value in (None, ["cat"])],
]


@pytest.mark.parametrize(("part", "key", "value", "form"), UNUSABLE)
def test_a_field_that_pycocotools_cannot_read_is_refused_before_training(
    tmp_path: Path, part: str, key: str, value: object, form: str
) -> None:
    """With file, annotation, key, what it may be and what it is."""
    content = copy.deepcopy(tiny_content())
    content[part][0][key] = value
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, content, yaml_tail="classes: [cat, cup]\n")
    message = str(caught.value)
    assert f"notes.json: {part}[0]" in message
    assert f": {key}: expected" in message
    assert form in message
    assert message.endswith(f", got {value!r}")
    if part == "annotations" and key != "id":
        assert "annotation 1: " in message


def test_what_is_left_out_may_have_any_area(tmp_path: Path) -> None:
    """Scoring never sees a degenerate annotation, nor one of another category."""
    left_out = square_annotation(9, 10, segmentation=[], area=None, iscrowd=7)
    content = tiny_content()
    content["annotations"] += [left_out, square_annotation(8, 30, category_id=3, iscrowd=7)]
    dataset = opened(tmp_path, content, yaml_tail="classes: [cup]\n")
    assert [one["id"] for one in dataset.ground_truth()["annotations"]] == [1]  # type: ignore[attr-defined]


def test_scoring_reads_an_outline_whose_first_part_is_a_line(tmp_path: Path) -> None:
    """Pycocotools takes a first part of four numbers for a box, and fails on the next."""
    content = tiny_content()
    (square,) = content["annotations"][0]["segmentation"]
    content["annotations"][0]["segmentation"] = [[1, 1, 9, 9], square]
    dataset = opened(tmp_path, content)
    index = truth_index(dataset.ground_truth())
    assert mask.area(index.annToRLE(index.anns[1])) == 100  # 10 x 10 px
