"""Predictions on disk: complete or absent, made once, in COCO's format, in order."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from runners.evaluation.files import PredictionKey, is_complete
from runners.evaluation.predict import detections, predict, validate
from runners.evaluation.score import score_predictions
from yolact_bench.detect.pipeline import SoftDetections, to_detections
from yolact_bench.errors import ArmError, SpecError

HEIGHT, WIDTH = 32, 48
KEY = PredictionKey("d1", "t1", 5)


class Squares:
    """Images with one 16×12 object each, moving to the right; image ids far from indices."""

    classes = ("disc", "square")
    category_ids = (11, 42)

    def __init__(self, length: int = 5, unreadable: int | None = None) -> None:
        self.length, self.unreadable = length, unreadable
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.length

    def image_id(self, index: int) -> int:
        return 1000 - index

    def image(self, index: int) -> np.ndarray:
        assert threading.current_thread() is not threading.main_thread()
        if index == self.unreadable:
            raise ArmError("bad_image", f"images/{index}.jpg: truncated")
        self.read.append(index)
        return np.full((HEIGHT, WIDTH, 3), index, np.uint8)

    def ground_truth(self) -> dict[str, object]:
        annotations = []
        for index in range(self.length):
            box = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
            box[8:20, 4 * index : 4 * index + 16] = 1
            counts = rle.encode(box)
            annotations.append(
                {
                    "id": index + 1,
                    "image_id": self.image_id(index),
                    "category_id": 42,
                    "bbox": [4 * index, 8, 16, 12],
                    "area": 16 * 12,
                    "iscrowd": 0,
                    "segmentation": {**counts, "counts": counts["counts"].decode()},
                }
            )
        images = [
            {"id": self.image_id(i), "height": HEIGHT, "width": WIDTH} for i in range(self.length)
        ]
        categories = [
            {"id": number, "name": name}
            for number, name in zip(self.category_ids, self.classes, strict=True)
        ]
        return {"images": images, "annotations": annotations, "categories": categories}


class Oracle:
    """Finds each object exactly, reading its place from the image, and a box without area."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def find(self, images: Sequence[np.ndarray]) -> list[SoftDetections]:
        self.calls.append(len(images))
        return [self.in_one(4.0 * float(image[0, 0, 0])) for image in images]

    def in_one(self, x: float) -> SoftDetections:
        boxes_px = torch.tensor([[x, 8.0, x + 16.0, 20.0], [5.0, 5.0, 5.0, 9.0]])
        masks = torch.zeros(2, HEIGHT, WIDTH)
        masks[0, 8:20, int(x) : int(x) + 16] = 1.0
        return SoftDetections(
            boxes=boxes_px / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]),
            boxes_px=boxes_px,
            scores=torch.tensor([0.75, 0.5]),
            mask_scores=torch.tensor([0.625, 0.5]),
            labels=torch.tensor([1, 0]),
            soft_masks=masks,
            height=HEIGHT,
            width=WIDTH,
            mask_threshold=0.5,
        )


def test_predictions_are_in_cocos_format_with_the_data_sets_own_numbers(tmp_path: Path) -> None:
    predict(Oracle(), Squares(), tmp_path / "p", KEY)

    boxes = json.loads((tmp_path / "p" / "bbox.json").read_text())
    masks = json.loads((tmp_path / "p" / "segm.json").read_text())
    # Object 2 of label 1 (category 42) at x = 4 · 2; the box without area is in neither file.
    assert len(boxes) == len(masks) == 5
    assert boxes[2] == {
        "image_id": 998,
        "category_id": 42,
        "bbox": [8.0, 8.0, 16.0, 12.0],
        "score": 0.75,
    }
    assert masks[2]["score"] == 0.625  # the rescored one
    assert masks[2]["segmentation"]["size"] == [HEIGHT, WIDTH]
    decoded = rle.decode(masks[2]["segmentation"])
    assert decoded.sum() == 16 * 12
    assert decoded[8:20, 8:24].all()


def test_an_exact_detector_scores_one(tmp_path: Path) -> None:
    scores = score_predictions(Squares(), predict(Oracle(), Squares(), tmp_path / "p", KEY))
    assert scores.box.ap == scores.mask.ap == 1.0
    assert scores.mask.ap_by_class == {"disc": None, "square": 1.0}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_batches_change_neither_order_nor_content(tmp_path: Path, batch_size: int) -> None:
    predict(Oracle(), Squares(), tmp_path / "one", KEY)
    oracle = Oracle()
    predict(oracle, Squares(), tmp_path / "many", KEY, batch_size=batch_size)
    for name in ("bbox.json", "segm.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "many" / name).read_text()
    assert sum(oracle.calls) == 5
    assert max(oracle.calls) == min(batch_size, 5)


def test_complete_predictions_are_not_made_again(tmp_path: Path) -> None:
    predict(Oracle(), Squares(), tmp_path, KEY)
    again = Oracle()
    predict(again, Squares(), tmp_path, KEY)
    assert again.calls == []


@pytest.mark.parametrize(
    "key",
    [PredictionKey("d2", "t1", 5), PredictionKey("d1", "t2", 5), PredictionKey("d1", "t1", 4)],
)
def test_predictions_of_another_run_weights_or_data_size_are_made_again(
    tmp_path: Path, key: PredictionKey
) -> None:
    predict(Oracle(), Squares(), tmp_path, KEY)
    again = Oracle()
    predict(again, Squares(key.num_images), tmp_path, key)
    assert sum(again.calls) == key.num_images
    assert is_complete(tmp_path, key)


def test_an_unreadable_image_stops_the_arm_and_leaves_no_half_file(tmp_path: Path) -> None:
    with pytest.raises(ArmError, match=r"images/3\.jpg: truncated") as stopped:
        predict(Oracle(), Squares(unreadable=3), tmp_path, KEY)
    assert stopped.value.kind == "bad_image"
    assert list(tmp_path.iterdir()) == []
    assert not is_complete(tmp_path, KEY)


def test_an_interrupted_second_evaluation_does_not_pass_for_complete(tmp_path: Path) -> None:
    predict(Oracle(), Squares(), tmp_path, KEY)
    with pytest.raises(ArmError):
        predict(Oracle(), Squares(unreadable=3), tmp_path, PredictionKey("d2", "t1", 5))
    assert not is_complete(tmp_path, KEY)


def test_images_are_read_ahead_in_order_and_not_beyond_need() -> None:
    data = Squares(length=20)
    stream = detections(Oracle(), data, range(20))
    next(stream)
    stream.close()
    # One image asked for, two waiting ahead of it, and at most the one being read.
    assert data.read == list(range(len(data.read)))
    assert len(data.read) <= 4


def test_validation_looks_at_the_first_images_only() -> None:
    oracle = Oracle()
    scores = validate(oracle, Squares(), max_images=2)
    assert sum(oracle.calls) == 2
    # The three objects of the other images are not counted as missed.
    assert scores.mask.ap == 1.0


def test_an_image_without_detections_is_an_image_without_entries() -> None:
    class Blind(Oracle):
        def in_one(self, x: float) -> SoftDetections:
            found = super().in_one(x)
            fields = ("boxes", "boxes_px", "scores", "mask_scores", "labels", "soft_masks")
            none = {name: getattr(found, name)[:0] for name in fields}
            return SoftDetections(**none, height=HEIGHT, width=WIDTH, mask_threshold=0.5)

    assert list(detections(Blind(), Squares(2), range(2))) == [([], []), ([], [])]
    assert validate(Blind(), Squares(2)).mask.ap == 0.0


def test_a_score_that_is_no_number_stops_the_arm() -> None:
    class Broken(Oracle):
        def in_one(self, x: float) -> SoftDetections:
            return replace(super().in_one(x), mask_scores=torch.tensor([float("nan"), 0.5]))

    with pytest.raises(ArmError, match="image 1000: a score is not finite"):
        list(detections(Broken(), Squares(1), range(1)))


def test_missing_predictions_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"bbox\.json: cannot be read"):
        score_predictions(Squares(), tmp_path)


def test_run_lengths_from_regions_are_those_of_the_full_masks() -> None:
    """Blobs at prototype size on a 200×310 photo: the path taken against the plain one."""
    random = np.random.default_rng(0)
    coarse = torch.tensor(random.random((6, 1, 5, 5)), dtype=torch.float32)
    soft = torch.nn.functional.interpolate(coarse, size=(40, 40), mode="bilinear")[:, 0]
    corners = torch.tensor([0.0, 0.0, 100.0, 100.0]).repeat(6, 1)
    found = SoftDetections(
        boxes=corners / 310,
        boxes_px=corners,
        scores=torch.ones(6),
        mask_scores=torch.ones(6),
        labels=torch.zeros(6, dtype=torch.long),
        soft_masks=soft,
        height=200,
        width=310,
        mask_threshold=0.5,
    )

    class One(Oracle):
        def find(self, images: Sequence[np.ndarray]) -> list[SoftDetections]:
            return [found]

    [(_, entries)] = detections(One(), Squares(1), range(1))

    full = to_detections(found).masks.numpy()
    assert 0.1 < full.mean() < 0.9
    for entry, mask in zip(entries, full, strict=True):
        expected = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert entry["segmentation"]["counts"] == expected["counts"].decode()
