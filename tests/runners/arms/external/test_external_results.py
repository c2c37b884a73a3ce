"""Result files of other frameworks: what is taken, and what is refused with its place."""

import json
from pathlib import Path

import pytest

from runners.arms.external.reported_latency import read_reported_latency
from runners.arms.external.results import adopt, read_facts
from runners.evaluation.files import Lines, PredictionKey, prediction_files
from tests.support.external_truth import drawn, true_masks
from yolact_bench.data import Dataset
from yolact_bench.errors import SpecError

KEY = PredictionKey("d", "files", len(drawn()))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return drawn()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 99}, r"entry 2: image_id 99 is not in the evaluation data, which has 1, 2"),
        ({"category_id": 0}, r"entry 2: category_id 0 is not in"),
        ({"score": float("nan")}, r"entry 2: score: expected a finite number, got nan"),
        ({"score": "0.9"}, r"entry 2: score: expected a finite number, got '0.9'"),
        ({"score": float("-inf")}, r"entry 2: score: expected a finite number, got -inf"),
        ({"image_id": "1"}, r"entry 2: image_id: expected the id of an image, .* got '1'"),
        ({"image_id": 1.0}, r"entry 2: image_id: expected the id of an image, .* got 1.0"),
        ({"category_id": True}, r"entry 2: category_id: expected the id of a cat.* got True"),
        ({"category_id": [1]}, r"entry 2: category_id: expected the id of a cat.* got \[1\]"),
        ({"image_id": 10**99}, r"entry 2: image_id 1000.* is not in the evaluation data"),
        ({"image_id": 10**100}, r"not JSON \(a number of 101 characters\)"),
        ({"image_id": None}, r"entry 2: image_id: expected the id of an image, .* got None"),
        ({"segmentation": {"size": [95, 96], "counts": "a"}}, r"is \[95, 96\] .*image \[96, 96\]"),
        ({"segmentation": 7}, r"entry 2: segmentation: neither run lengths nor .*; write polygons"),
        ({"segmentation": [[1, 2, 3, 4]]}, r"a polygon is \[x1, y1"),
        ({"segmentation": {"size": [96, 96], "counts": [1, 9216]}}, r"cover 9217 pixels of 9216"),
    ],
)
def test_a_wrong_detection_is_told_with_its_file_and_number(
    tmp_path: Path, dataset: Dataset, change: dict[str, object], message: str
) -> None:
    masks = true_masks(dataset)
    masks[1].update(change)
    (tmp_path / "masks.json").write_text(json.dumps(masks))
    with pytest.raises(SpecError, match=r"masks\.json: .*" + message):
        files = {"segm": tmp_path / "masks.json"}
        adopt(files, dataset, tmp_path / "out", KEY)


def test_polygons_are_taken_too(tmp_path: Path, dataset: Dataset) -> None:
    """A square from (10, 20) to (20, 40) in pixels: its box is x 10, y 20, 10 wide and 20 high."""
    square = [[10, 20, 20, 20, 20, 40, 10, 40]]
    entry = {"image_id": 1, "category_id": 1, "score": 1, "segmentation": square}
    (tmp_path / "masks.json").write_text(json.dumps([entry]))
    adopt(
        {"segm": tmp_path / "masks.json"},
        dataset,
        tmp_path / "out",
        KEY,
    )
    (box,) = json.loads((tmp_path / "out/bbox.json").read_text())
    assert box["bbox"] == [10, 20, 10, 20]
    assert read_facts(tmp_path / "out").boxes_around_masks


def _boxes(masks: list[dict[str, object]]) -> list[dict[str, object]]:
    """A box in the corner for each mask."""
    subjects = [{key: mask[key] for key in ("image_id", "category_id", "score")} for mask in masks]
    return [{**subject, "bbox": [0, 0, 8, 8]} for subject in subjects]


def test_a_mask_without_a_box_is_written_alone(tmp_path: Path) -> None:
    with prediction_files(tmp_path, KEY) as predictions:
        predictions.write(Lines("", "1", 1))
        predictions.write(Lines("2", "2", 1))
    assert json.loads((tmp_path / "bbox.json").read_text()) == [2]
    assert json.loads((tmp_path / "segm.json").read_text()) == [1, 2]


@pytest.mark.parametrize("empty", ["segm", "bbox"])
def test_an_empty_file_beside_a_full_one_is_a_mistake_and_no_ap_of_0(
    tmp_path: Path, dataset: Dataset, empty: str
) -> None:
    masks = true_masks(dataset)
    contents = {"segm": masks, "bbox": _boxes(masks), empty: []}
    files = {kind: tmp_path / f"{kind}.json" for kind in contents}
    for kind, content in contents.items():
        files[kind].write_text(json.dumps(content))
    message = rf"{empty}\.json: no detection, where .* has {len(masks)};"
    with pytest.raises(SpecError, match=message):
        adopt(files, dataset, tmp_path / "out", KEY)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 3}, "schema: 2"),
        ({"device": ""}, "device: expected what it was timed on, such as .*, got ''"),
        ({"batch_size": 8}, "batch_size: expected 1, got 8; time single images"),
        ({"samples_ms": [3.0]}, "give either samples_ms"),
        ({"median_ms": -1.0}, "median_ms: expected a number from 1e-09 to 1,000,000, got -1.0"),
        ({"median_s": 1.0}, "'median_s' .did you mean 'median_ms'"),
    ],
)
def test_a_wrong_latency_file_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    right = {"schema": 1, "device": "T4", "precision": "fp32", "scenario": "x", "median_ms": 2.5}
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(right))
    assert read_reported_latency(path).samples_ms == (2.5,)
    path.write_text(json.dumps({**right, **change}))
    with pytest.raises(SpecError, match=message):
        read_reported_latency(path)


# A parent that starts a child in the background, notes its id, and hangs.
