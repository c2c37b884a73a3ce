"""The numbers of a report are plain pycocotools' numbers of the files that we write."""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.evaluation.files import PredictionKey
from runners.evaluation.predict import predict
from runners.evaluation.score import score_predictions
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.detect.pipeline import SoftDetections

IMAGES, SIDE = 120, 96


class Sloppy:
    """Finds most objects, some pixels off, at times as another class; sees one image at a time."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.index = 0

    def find(self, images: Sequence[np.ndarray]) -> list[SoftDetections]:
        assert len(images) == 1
        rng = np.random.default_rng(self.index)
        objects = self.dataset.objects(self.index)
        self.index += 1
        found = rng.random(len(objects)) < 0.9
        count = int(found.sum())
        boxes_px = np.empty((count, 4), np.float32)
        masks = np.zeros((count, SIDE, SIDE), np.float32)
        for row, index in enumerate(np.flatnonzero(found)):
            down, right = rng.integers(-3, 4, 2)
            segment = objects.segments[index]
            assert isinstance(segment, np.ndarray)
            masks[row] = np.roll(segment, (down, right), (0, 1))
            moved = objects.boxes_px[index] + np.array([right, down, right, down])
            boxes_px[row] = moved.clip(0, SIDE).round()
        labels = np.where(rng.random(count) < 0.8, objects.labels[found], rng.integers(0, 5, count))
        scores = np.sort(rng.random(count).astype(np.float32))[::-1].copy()
        return [
            SoftDetections(
                boxes=torch.from_numpy(boxes_px / SIDE),
                boxes_px=torch.from_numpy(boxes_px),
                scores=torch.from_numpy(scores),
                mask_scores=torch.from_numpy(scores * rng.random(count).astype(np.float32)),
                labels=torch.from_numpy(labels),
                soft_masks=torch.from_numpy(masks),
                height=SIDE,
                width=SIDE,
                mask_threshold=0.5,
            )
        ]


def test_plain_pycocotools_gives_the_numbers_of_our_report(tmp_path: Path) -> None:
    choice = {"name": "shapes", "train_images": 1, "val_images": IMAGES, "size": SIDE}
    dataset = open_dataset(resolve_dataset(choice, data_root=None), "val")
    key = PredictionKey("d", "w", IMAGES)
    predict(Sloppy(dataset), dataset, tmp_path, key)  # type: ignore[arg-type]
    scores = score_predictions(dataset, tmp_path)
    (tmp_path / "truth.json").write_text(json.dumps(dataset.ground_truth()))

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "truth.json"))
        for kind, ours in (("bbox", scores.box), ("segm", scores.mask)):
            plain = COCOeval(truth, truth.loadRes(str(tmp_path / f"{kind}.json")), kind)
            plain.evaluate()
            plain.accumulate()
            plain.summarize()
            found = [ours.ap, ours.ap50, ours.ap75, ours.ap_small, ours.ap_medium]
            assert found == pytest.approx(plain.stats[:5].tolist(), abs=1e-9)
            assert 0.05 < plain.stats[0] < 0.95  # neither nothing nor everything is right
