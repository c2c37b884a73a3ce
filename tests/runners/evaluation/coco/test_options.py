"""Options of an evaluation: what pycocotools gives with the same parameters, from every engine."""

import contextlib
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.evaluation.coco.detections import ShapeKind
from runners.evaluation.coco.score import SCORING, overlaps, score
from runners.evaluation.error_types import error_gains, split_errors
from runners.evaluation.score import crowded_images
from tests.runners.evaluation.coco.test_engines import Drawn, numbers
from tests.support.coco_like import coco_like, names_of
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation, read_evaluation
from yolact_bench.statistics.bootstrap import resampled_ap
from yolact_bench.statistics.matches import load_matches

AREAS = {"small": [0, 400], "medium": [300, 5000], "large": [7000, 2e5]}
OPTIONS = {
    "three": {"max_dets": 3},
    "one": {"max_dets": 1},
    "three hundred": {"max_dets": 300},
    "other sizes": {"areas": AREAS},
    "two classes": {"classes": ["class 2", "class 3"]},
    "all": {"max_dets": 17, "areas": AREAS, "classes": ["class 1"]},
}
SCENES: dict[str, Drawn] = {
    "few": coco_like(8, classes=3, detections=60, crowds=0.1, seed=1),
    "many": coco_like(1, classes=1, objects=110, detections=330, decimals=2, seed=2),
}


def by_hand(truth: dict[str, Any], results: list[Any], kind: str, options: Evaluation) -> COCOeval:
    """COCOeval as its users set it, and its mean AP."""
    index = COCO()
    numbered = [{**one, "id": n} for n, one in enumerate(truth["annotations"], start=1)]
    index.dataset = {**truth, "annotations": numbered}
    index.createIndex()
    evaluation = COCOeval(index, index.loadRes([dict(one) for one in results]), kind)
    params = evaluation.params
    params.maxDets = [min(1, options.max_dets), min(10, options.max_dets), options.max_dets]
    areas = options.areas
    params.areaRng = [[0, 1e10], [*areas.small], [*areas.medium], [*areas.large]]
    params.catIds = [one["id"] for one in truth["categories"] if options.scores(one["name"])]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def mean(values: Any) -> float:  # noqa: ANN401
    return float(values[values > -1].mean()) if (values > -1).any() else -1.0


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("scene", SCENES)
def test_every_engine_gives_what_pycocotools_gives(
    scene: str, name: str, kind: ShapeKind, tmp_path: Path
) -> None:
    """All twelve numbers, AP of each class and at each IoU; and AP again from the matches."""
    options = read_evaluation(OPTIONS[name])
    truth, boxes, masks = SCENES[scene]
    results = boxes if kind == "bbox" else masks
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = by_hand(truth, results, kind, options)
    ap, ar = evaluation.eval["precision"], evaluation.eval["recall"]
    expected = [mean(ap[..., 0, 2]), mean(ap[0, ..., 0, 2]), mean(ap[5, ..., 0, 2])]
    expected += [mean(ap[..., size, 2]) for size in (1, 2, 3)]
    expected += [mean(ar[:, :, 0, most]) for most in (0, 1, 2)]
    expected += [mean(ar[:, :, size, 2]) for size in (1, 2, 3)]
    expected += [mean(at[..., 0, 2]) for at in ap]
    expected += [mean(ap[:, :, column, 0, 2]) for column in range(ap.shape[2])]

    for scoring in SCORING:
        summary = score(
            truth,
            results,
            kind=kind,
            class_names=names_of(truth),
            scoring=scoring,
            evaluation=options,
            save_matches=tmp_path / "matches.npz",
        )
        assert np.abs(np.subtract(numbers(summary), expected)).max() <= 1e-12, scoring
        wanted = {n for n in names_of(truth).values() if options.scores(n)}
        assert summary.ap_by_class.keys() == wanted
        matches = load_matches(tmp_path / "matches.npz")
        for size, value in (("all", summary.ap), ("small", summary.ap_small)):
            again = resampled_ap(matches, np.ones((1, matches.num_images), np.int32), area=size)
            assert again.mean() == pytest.approx(value, nan_ok=True, abs=1e-12) or value is None


def row_of(number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An image with a row of objects of one class, and detections equal to them."""
    boxes = [[4 * place, 0, 3, 8] for place in range(number)]
    subject = {"image_id": 5, "category_id": 1}
    objects = [
        {**subject, "id": n, "bbox": box, "area": 24, "iscrowd": 0} for n, box in enumerate(boxes)
    ]
    truth = {
        "images": [{"id": 5, "height": 8, "width": 4 * number}],
        "annotations": objects,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    return truth, [{**subject, "bbox": box, "score": 0.5} for box in boxes]


@pytest.mark.parametrize("scoring", SCORING)
def test_of_150_perfect_detections_all_count_with_a_limit_of_150(scoring: str) -> None:
    """With 100, recall ends at 100 / 150: 67 of the 101 levels, 0.00 to 0.66, are reached."""
    truth, results = row_of(150)
    for options, expected in ((COCO_OPTIONS, 67 / 101), (Evaluation(max_dets=150), 1.0)):
        summary = score(
            truth,
            results,
            kind="bbox",
            class_names={1: "a", 2: "b"},
            scoring=scoring,
            evaluation=options,
        )
        assert summary.ap == pytest.approx(expected, abs=1e-12)
        assert summary.ar_100 == pytest.approx(min(1.0, options.max_dets / 150))
        assert crowded_images(truth, options) == (options.max_dets < 150)


def test_crowds_and_classes_that_are_not_scored_crowd_no_image() -> None:
    truth, _ = row_of(150)
    assert crowded_images(truth, Evaluation(classes=("b",))) == 0
    truth["annotations"][3]["iscrowd"] = 1
    assert crowded_images(truth, Evaluation(max_dets=149)) == 0
    assert crowded_images(truth, Evaluation(max_dets=148)) == 1


def test_the_types_of_error_know_the_limit_and_the_classes() -> None:
    """Of 150 objects that are all found, 50 are missed with a limit of 100."""
    truth, results = row_of(150)
    for options, missed in ((COCO_OPTIONS, 50), (Evaluation(max_dets=150), 0)):
        images = overlaps(truth, results, kind="bbox", evaluation=options)
        split = split_errors(images, max_dets=options.max_dets)
        assert int(split.missed.sum()) == missed
        gains = error_gains(truth, results, kind="bbox", evaluation=options)
        assert gains["ap50"] == pytest.approx(1.0 if not missed else 67 / 101)
    # An object of another class beside it, and a detection there, are no errors of the class "a".
    other = {**truth["annotations"][0], "id": 999, "category_id": 2, "bbox": [0, 0, 600, 8]}
    wider = {**truth, "annotations": [*truth["annotations"], other]}
    stray = {**results[0], "category_id": 2}
    only = Evaluation(max_dets=150, classes=("a",))
    gains = error_gains(wider, [*results, stray], kind="bbox", evaluation=only)
    assert gains["ap50"] == pytest.approx(1.0)


@pytest.mark.parametrize("scoring", SCORING)
def test_ignore_has_no_effect_as_in_pycocotools(scoring: str) -> None:
    """COCOeval sets it to `iscrowd`, whatever a file says."""
    truth, boxes, _ = SCENES["few"]
    flags = [{**one, "ignore": 1 - one["iscrowd"]} for one in truth["annotations"]]
    assert Counter(one["ignore"] for one in flags)[1] > 10
    names = names_of(truth)
    plain = score(truth, boxes, kind="bbox", class_names=names, scoring=scoring)
    flagged = {**truth, "annotations": flags}
    assert score(flagged, boxes, kind="bbox", class_names=names, scoring=scoring) == plain
