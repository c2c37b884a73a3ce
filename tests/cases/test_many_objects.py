"""More objects of a class in an image than COCO's 100 detections: perfect, and yet AP 66.3."""

import json
from pathlib import Path

import numpy as np
import pytest

from runners.arms.external.results import adopt
from runners.evaluation.coco.score import SCORING
from runners.evaluation.error_types import error_gains
from runners.evaluation.score import resample, score_predictions
from tests.cases.base_set import SIZE, base_content, write_base
from tests.cases.test_foreign_results import KEY
from tests.cases.test_images import open_split
from yolact_bench.data import Dataset
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.results.files import write_atomically
from yolact_bench.results.resamples import read_resamples

NUMBER = 150  # squares of 4 px in 15 columns and 10 rows of the first image; 1 in each other one
HEIGHT, WIDTH = SIZE
# Of the class a there are 155 objects, 105 of which can be found with 100 detections an image.
LEVELS = sum(level / 100 <= 105 / 155 for level in range(101))


@pytest.fixture
def crowded(tmp_path: Path) -> Dataset:
    content = base_content(first_image=101)
    first = [one for one in content["annotations"] if one["image_id"] == 101]
    others = [one for one in content["annotations"] if one not in first]
    squares = []
    for place in range(NUMBER):
        x, y = 6 * (place % 15), 7 * (place // 15)
        corners = [x, y, x + 4, y, x + 4, y + 4, x, y + 4]
        square = {"bbox": [x, y, 4, 4], "area": 16, "segmentation": [corners]}
        squares.append({**first[0], "id": 1000 + place, **square})
    return open_split(
        write_base(tmp_path / "data", val={**content, "annotations": [*squares, *others]}), "val"
    )


@pytest.mark.parametrize("scoring", SCORING)
def test_a_greater_limit_counts_them_all(scoring: str, crowded: Dataset, tmp_path: Path) -> None:
    """The class b, of one object an image, has AP 1 in any case: AP is the mean of both."""
    truth = crowded.ground_truth()
    annotations = truth["annotations"]
    assert isinstance(annotations, list)
    kept = ("image_id", "category_id", "bbox", "segmentation")
    entries = [{**{key: one[key] for key in kept}, "score": 0.9} for one in annotations]
    write_atomically(tmp_path / "r.json", json.dumps(entries))
    adopt({"segm": tmp_path / "r.json", "bbox": tmp_path / "r.json"}, crowded, tmp_path / "p", KEY)

    for options, ap, images in (
        (COCO_OPTIONS, LEVELS / 101, 1),
        (Evaluation(max_dets=NUMBER), 1.0, 0),
    ):
        scores = score_predictions(crowded, tmp_path / "p", scoring=scoring, evaluation=options)
        assert scores.mask.ap == pytest.approx((ap + 1) / 2, abs=1e-9)
        assert scores.box.ap == pytest.approx((ap + 1) / 2, abs=1e-9)
        assert scores.crowded_images == images
        resample(tmp_path / "p", tmp_path / "r.npz", eval_data="e", replicates=20)
        columns, _ = read_resamples(tmp_path / "r.npz")
        assert (np.nanmin(columns["mask_ap"]) == pytest.approx(1.0)) == (images == 0)
        gains = error_gains(truth, tmp_path / "p" / "segm.json", kind="segm", evaluation=options)
        assert gains["ap50"] == pytest.approx((ap + 1) / 2, abs=1e-9)
        assert gains["missed"] == pytest.approx((1 - ap) / 2, abs=1e-9)
