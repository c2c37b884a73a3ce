"""COCO's metrics: the same numbers as pycocotools used by hand, and the cases it refuses."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.evaluation.coco.masks import encode_pixels
from runners.evaluation.coco.score import score
from yolact_bench.errors import SpecError

NAMES = {3: "disc", 7: "square", 9: "never seen"}
SIDE = 120


def run_lengths(x: int, y: int, w: int, h: int) -> dict[str, object]:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[y : y + h, x : x + w] = 1
    return dict(encode_pixels(pixels))


def scene(num_images: int = 12, seed: int = 0) -> tuple[dict, list[dict], list[dict]]:
    """Boxes of 10 to 110 px, detected with an offset of a few pixels, with false alarms."""
    random = np.random.default_rng(seed)
    images, annotations, boxes, masks = [], [], [], []
    for image_id in range(100, 100 + num_images):
        images.append({"id": image_id, "width": SIDE, "height": SIDE})
        for number in range(8):
            w, h = (int(side) for side in random.integers(10, 111, 2))
            x, y = int(random.integers(0, SIDE - w)), int(random.integers(0, SIDE - h))
            category = int(random.choice([3, 7]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(number == 0 and image_id == 100),
                    "segmentation": run_lengths(x, y, w, h),
                }
            )
            for _ in range(4):
                dx, dy = (int(move) for move in random.integers(-4, 5, 2))
                moved = (min(max(x + dx, 0), SIDE - w), min(max(y + dy, 0), SIDE - h), w, h)
                what = {
                    "image_id": image_id,
                    "category_id": category if random.random() < 0.8 else 10 - category,
                    "score": float(random.random()),
                }
                boxes.append({**what, "bbox": [float(side) for side in moved]})
                masks.append({**what, "segmentation": run_lengths(*moved)})
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    return truth, boxes, masks


def by_hand(truth: dict, results: list[dict], kind: str) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = json.loads(json.dumps(truth))
        index.createIndex()
        evaluation = COCOeval(index, index.loadRes(json.loads(json.dumps(results))), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_every_number_is_pycocotools_own(kind: str) -> None:
    """384 detections: more than the 255 at which pycocotools' areas overflow."""
    truth, boxes, masks = scene()
    results = boxes if kind == "bbox" else masks
    assert len(results) == 384

    summary = score(truth, results, kind=kind, class_names=NAMES)

    expected = by_hand(truth, results, kind)
    got = [summary.ap, summary.ap50, summary.ap75]
    got += [summary.ap_small, summary.ap_medium, summary.ap_large]
    got += [summary.ar_1, summary.ar_10, summary.ar_100]
    got += [summary.ar_small, summary.ar_medium, summary.ar_large]
    assert [-1.0 if value is None else value for value in got] == expected.stats.tolist()
    assert 0.0 < summary.ap < 1.0
    precision = expected.eval["precision"][:, :, :, 0, 2]
    for threshold, value in enumerate(summary.ap_by_iou):
        assert value == precision[threshold, :, :2].mean()  # the third class has no truth
    assert summary.ap_by_iou[0] == summary.ap50
    assert summary.ap_by_iou[5] == summary.ap75
    assert summary.ap_by_class["disc"] == precision[:, :, 0].mean()


def test_a_class_or_size_without_ground_truth_has_no_ap() -> None:
    truth, boxes, _ = scene()
    truth["annotations"] = [a for a in truth["annotations"] if a["area"] >= 96**2]

    summary = score(truth, boxes, kind="bbox", class_names=NAMES)

    assert summary.ap_by_class["never seen"] is None
    assert summary.ap_small is None
    assert summary.ar_small is None
    assert summary.ap_large is not None


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_no_detections_at_all_score_zero(kind: str) -> None:
    truth, _, _ = scene(num_images=2)

    summary = score(truth, [], kind=kind, class_names=NAMES)

    assert summary.ap == summary.ap50 == summary.ar_100 == 0.0
    assert summary.ap_by_iou == (0.0,) * 10
    assert summary.ap_by_class == {"disc": 0.0, "square": 0.0, "never seen": None}


def test_perfect_masks_score_one_also_where_annotations_count_from_zero() -> None:
    """COCOeval takes annotation id 0 for "unmatched", so one of two objects would be lost."""
    truth, _, _ = scene(num_images=1)
    truth["annotations"] = [
        {**a, "id": number} for number, a in enumerate(truth["annotations"][1:3])
    ]
    keys = ("image_id", "category_id", "segmentation")
    perfect = [{**{key: a[key] for key in keys}, "score": 0.9} for a in truth["annotations"]]

    assert score(truth, perfect, kind="segm", class_names=NAMES).ap == 1.0


def test_scoring_changes_neither_ground_truth_nor_results() -> None:
    truth, _, masks = scene(num_images=2)
    before = json.dumps([truth, masks])

    score(truth, masks, kind="segm", class_names=NAMES)

    assert json.dumps([truth, masks]) == before


def test_only_the_chosen_images_count() -> None:
    truth, boxes, _ = scene()
    first = {100, 101}
    summary = score(truth, boxes, kind="bbox", class_names=NAMES, image_ids=first)

    smaller = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in first],
        "annotations": [a for a in truth["annotations"] if a["image_id"] in first],
    }
    some = [entry for entry in boxes if entry["image_id"] in first]
    assert summary == score(smaller, some, kind="bbox", class_names=NAMES)


def test_results_of_another_data_set_are_refused() -> None:
    truth, boxes, _ = scene(num_images=2)

    with pytest.raises(SpecError, match="entry 1: image_id 5 is not in"):
        score(truth, [{**boxes[0], "image_id": 5}], kind="bbox", class_names=NAMES)
    with pytest.raises(SpecError, match="entry 1: category_id 4 is not in"):
        score(truth, [{**boxes[0], "category_id": 4}], kind="bbox", class_names=NAMES)
    with pytest.raises(SpecError, match=r"entry 1: missing segmentation; write segm.*: poly"):
        score(truth, boxes, kind="segm", class_names=NAMES)


def test_a_damaged_result_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bbox.json"
    file.write_text('[{"image_id": 1,')
    with pytest.raises(SpecError, match=r"bbox\.json:1:\d+: not JSON"):
        score(scene(1)[0], file, kind="bbox", class_names=NAMES)
    with pytest.raises(SpecError, match=r"cannot be read .*; if yolact-bench wrote it"):
        score(scene(1)[0], tmp_path / "none.json", kind="bbox", class_names=NAMES)
