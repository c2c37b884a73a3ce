"""Scores of what was read are pycocotools' own on the file, or on the file as it should be."""

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.evaluation.coco.index import ShapeKind
from runners.evaluation.coco.score import score
from tests.cases.annotation_changes import Change, first, opened
from tests.cases.base_set import base_content
from tests.support.data_fixtures import coco_subset
from yolact_bench.data.annotations import read_annotations
from yolact_bench.published_datasets import COCO_CLASSES

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")


def detections(content: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """The objects of a file, boxes and outlines moved by up to 3 px, with scores at random."""
    rng = np.random.default_rng(seed)
    found = []
    for one in content["annotations"]:
        if one["iscrowd"]:
            continue
        shift = rng.uniform(-3, 3, 2)
        outlines = [(np.reshape(p, (-1, 2)) + shift).ravel().tolist() for p in one["segmentation"]]
        found.append(
            {
                "image_id": one["image_id"],
                "category_id": one["category_id"],
                "score": float(rng.uniform(0.1, 1)),
                "bbox": [*(np.array(one["bbox"][:2]) + shift).tolist(), *one["bbox"][2:]],
                "segmentation": outlines,
            }
        )
    return found


def own_stats(content: dict[str, Any], results: list[dict[str, Any]], kind: str) -> list[float]:
    """What pycocotools alone makes of a file's content and results."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = coco.COCO(), coco.COCO()
        truth.dataset = copy.deepcopy(content)
        truth.createIndex()
        annotations = [
            {**one, "id": number, "iscrowd": 0, "area": one["bbox"][2] * one["bbox"][3]}
            for number, one in enumerate(results, start=1)
        ]
        found.dataset = {**truth.dataset, "annotations": annotations}
        found.createIndex()
        for one in found.dataset["annotations"]:
            one["segmentation"] = found.annToRLE(one)
            if kind == "segm":
                one["area"] = float(coco.maskUtils.area(one["segmentation"]))
        evaluation = cocoeval.COCOeval(truth, found, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [None if value == -1 else float(value) for value in evaluation.stats]  # type: ignore[misc]


def our_stats(
    truth: dict[str, object], results: list[dict[str, Any]], kind: ShapeKind, names: dict[int, str]
) -> list[float | None]:
    summary = score(truth, results, kind=kind, class_names=names)
    fields = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    recalls = ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")
    return [getattr(summary, name) for name in (*fields, *recalls)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.skipif(coco_subset() is None, reason="no COCO subset at hand")
def test_real_annotations_score_as_pycocotools_alone_scores_the_file(kind: ShapeKind) -> None:
    """128 images, 987 annotations of which 10 crowds; bit for bit."""
    root = coco_subset()
    assert root is not None
    file = root / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    read = read_annotations(
        file, COCO_CLASSES, subset=False, split="val", size_of=lambda name: None
    )
    results = detections(content)
    names = {one["id"]: one["name"] for one in content["categories"]}
    expected = own_stats(content, results, kind)
    assert expected[0] is not None and 0.1 < expected[0] < 1
    assert our_stats(read.ground_truth(), results, kind, names) == expected


@pytest.mark.parametrize(
    "change",
    [
        first(area=None),
        first(area="320.0", iscrowd=None),
        first(area=float("nan")),
        first(iscrowd="0"),
        first(bbox=None),
        first(segmentation=[[1, 1, 2, 2], [8, 10, 38, 10, 38, 34, 8, 34]]),
        first(segmentation=[8, 10, 38, 10, 38, 34, 8, 34]),
        first(image_id="1", category_id="1", id="1"),
    ],
)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_a_mended_file_scores_as_pycocotools_scores_the_right_one(
    tmp_path: Path, change: Change, kind: ShapeKind
) -> None:
    right, odd = base_content(), base_content()
    change(odd)
    results = detections(right)
    dataset = opened(tmp_path, odd)
    expected = own_stats(right, results, kind)
    assert our_stats(dataset.ground_truth(), results, kind, {1: "a", 2: "b"}) == expected
