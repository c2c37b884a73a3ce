"""Engines that score faster than pycocotools: the same numbers, and the same matches."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from runners.evaluation.coco.instances import sizes_of
from runners.evaluation.coco.score import SCORING, engine_name, score
from tests.runners.evaluation.coco.test_coco_score import NAMES, by_hand, scene
from tests.support.coco_like import coco_like, names_of
from tests.support.coco_matches import collect_matches
from yolact_bench.errors import SpecError
from yolact_bench.evaluation import COCO_OPTIONS
from yolact_bench.results.record import ApSummary
from yolact_bench.statistics.matches import IOU_THRESHOLDS, RECALLS, Matches, load_matches

FAST = sorted(set(SCORING) - {"pycocotools"})
Drawn = tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]


def without_objects_of(drawn: Drawn, categories: set[int], images: set[int]) -> Drawn:
    truth, boxes, masks = drawn
    left = [
        one
        for one in truth["annotations"]
        if one["category_id"] not in categories and one["image_id"] not in images
    ]
    return {**truth, "annotations": left}, boxes, masks


SCENES: dict[str, Drawn] = {
    "like coco": coco_like(25, classes=9),
    "equal scores": coco_like(12, classes=3, decimals=1, seed=1),
    "more than 100 of a class": coco_like(3, classes=1, detections=260, decimals=2, seed=2),
    "many objects and crowds": coco_like(6, classes=2, objects=40, crowds=0.3, seed=3),
    "classes and images without objects": without_objects_of(
        coco_like(12, classes=4, detections=40, seed=4), {2, 3}, {139, 156}
    ),
    "images without anything": coco_like(20, classes=4, objects=0.7, detections=1, seed=5),
    "no objects": without_objects_of(coco_like(3, classes=2, seed=6), {1, 2}, set()),
}


def scored(
    drawn: Drawn, kind: str, scoring: str, folder: Path, **options: object
) -> tuple[ApSummary, Matches]:
    truth, boxes, masks = drawn
    file = folder / f"{scoring}.npz"
    summary = score(
        truth,
        boxes if kind == "bbox" else masks,
        kind=kind,  # type: ignore[arg-type]
        class_names=names_of(truth),
        save_matches=file,
        scoring=scoring,
        **options,  # type: ignore[arg-type]
    )
    return summary, load_matches(file)


def numbers(summary: ApSummary) -> list[float]:
    """All numbers of a summary; -1 for none."""
    values: list[float | None] = []
    for field in fields(summary):
        value = getattr(summary, field.name)
        if field.name == "ap_by_iou":
            values += value
        elif field.name == "ap_by_class":
            values += value.values()
        else:
            values.append(value)
    return [-1.0 if value is None else value for value in values]


@pytest.mark.parametrize("scoring", FAST)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("name", SCENES)
def test_every_engine_gives_pycocotools_numbers_and_matches(
    name: str, kind: str, scoring: str, tmp_path: Path
) -> None:
    expected, matches = scored(SCENES[name], kind, "pycocotools", tmp_path)
    got, found = scored(SCENES[name], kind, scoring, tmp_path)

    assert got.ap_by_class.keys() == expected.ap_by_class.keys()
    assert np.abs(np.subtract(numbers(got), numbers(expected))).max() <= 1e-12
    for field in fields(Matches):
        ours, theirs = getattr(found, field.name), getattr(matches, field.name)
        assert np.array_equal(ours, theirs), field.name
        assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("name", SCENES)
def test_the_matches_are_those_that_pycocotools_keeps(name: str, kind: str, tmp_path: Path) -> None:
    truth, boxes, masks = SCENES[name]
    evaluation = by_hand(truth, boxes if kind == "bbox" else masks, kind)
    images, classes = evaluation.params.imgIds, evaluation.params.catIds
    expected = collect_matches(
        evaluation.evalImgs, num_images=len(images), num_classes=len(classes)
    )

    _, matches = scored(SCENES[name], kind, "pycocotools", tmp_path)

    for field in fields(Matches):
        ours, theirs = getattr(matches, field.name), getattr(expected, field.name)
        assert np.array_equal(ours, theirs), field.name
        assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)


def test_recalls_and_thresholds_are_those_of_pycocotools() -> None:
    params = Params("bbox")
    assert np.array_equal(params.recThrs, RECALLS)
    assert params.maxDets[-1] == COCO_OPTIONS.max_dets
    assert params.areaRng == sizes_of(COCO_OPTIONS).tolist()
    assert params.iouThrs.tolist() == pytest.approx(list(IOU_THRESHOLDS))


def test_the_scenes_hold_what_their_names_say() -> None:
    """Else the comparison above would be of less than it seems."""
    _, boxes, _ = SCENES["equal scores"]
    assert len({box["score"] for box in boxes}) <= 11  # 0.0, 0.1, …, 1.0
    _, boxes, _ = SCENES["more than 100 of a class"]
    assert len(boxes) == 3 * 260
    truth, _, _ = SCENES["many objects and crowds"]
    assert sum(one["iscrowd"] for one in truth["annotations"]) > 20
    truth, boxes, _ = SCENES["images without anything"]
    assert {one["id"] for one in truth["images"]} > {a["image_id"] for a in truth["annotations"]}


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_vectorised_engine_is_pycocotools_to_the_bit(kind: str, tmp_path: Path) -> None:
    expected, _ = scored(SCENES["like coco"], kind, "pycocotools", tmp_path)

    assert scored(SCENES["like coco"], kind, "vectorised", tmp_path)[0] == expected


@pytest.mark.parametrize("scoring", FAST)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_only_the_chosen_images_count_in_every_engine(
    kind: str, scoring: str, tmp_path: Path
) -> None:
    first = {139, 156, 173}
    expected, matches = scored(SCENES["like coco"], kind, "pycocotools", tmp_path, image_ids=first)
    got, found = scored(SCENES["like coco"], kind, scoring, tmp_path, image_ids=first)

    assert np.abs(np.subtract(numbers(got), numbers(expected))).max() <= 1e-12
    assert found.num_images == 3
    assert np.array_equal(found.matched, matches.matched)


@pytest.mark.parametrize("scoring", FAST)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_no_detections_score_zero_in_every_engine(kind: str, scoring: str) -> None:
    truth, _, _ = scene(num_images=2)

    summary = score(truth, [], kind=kind, class_names=NAMES, scoring=scoring)  # type: ignore[arg-type]

    assert summary.ap == summary.ar_100 == 0.0
    assert summary.ap_by_class == {"disc": 0.0, "square": 0.0, "never seen": None}


@pytest.mark.parametrize("scoring", FAST)
def test_no_engine_changes_ground_truth_or_results(scoring: str) -> None:
    truth, _, masks = scene(num_images=2)
    before = json.dumps([truth, masks])

    score(truth, masks, kind="segm", class_names=NAMES, scoring=scoring)

    assert json.dumps([truth, masks]) == before


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"pip install 'yolact-bench\[fast-eval\]'"):
        engine_name("faster")


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match="did you mean 'vectorised'"):
        engine_name("vectorized")


def test_records_name_the_package_and_its_version() -> None:
    import faster_coco_eval

    assert engine_name("faster") == f"faster-coco-eval {faster_coco_eval.__version__}"
    assert engine_name("pycocotools") == "pycocotools"
