"""Types of error: one scene for each, and what must hold for any detections."""

from collections.abc import Sequence

import numpy as np
import pytest

from runners.evaluation.coco.masks import encode_pixels
from runners.evaluation.coco.score import overlaps, score
from runners.evaluation.error_types import (
    ERROR_TYPES,
    ErrorSplit,
    average_precision,
    error_gains,
    split_errors,
)
from tests.runners.evaluation.coco.test_coco_score import NAMES, scene
from yolact_bench.errors import SpecError
from yolact_bench.results.record import OPPOSITES

SIDE = 100
KINDS = ["bbox", "segm"]

Box = tuple[int, int, int, int]  # x, y, w, h
SoftDetections = tuple[int, Box, float]  # category, box, score

# Two objects of class 1 and one of class 2, far apart.
A, B, C = (0, 0, 10, 10), (50, 50, 10, 10), (80, 0, 10, 10)
# 5 of its 10 columns are B's: 50 px² of 150, IoU 1/3.
BESIDE_B = (55, 50, 10, 10)
NOWHERE = (20, 80, 10, 10)
OBJECTS = [(1, A), (1, B), (2, C)]
SURE_C = (2, C, 0.6)


def count(split: ErrorSplit, name: str) -> int:
    """The number of errors of a type."""
    if name == "missed":
        return int(split.missed.sum())
    return int((split.type == ERROR_TYPES.index(name)).sum())


def shape(box: Box) -> dict[str, object]:
    x, y, w, h = box
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[y : y + h, x : x + w] = 1
    return {"bbox": list(box), "segmentation": dict(encode_pixels(pixels))}


def truth_of(objects: Sequence[tuple[int, Box]], crowds: Sequence[tuple[int, Box]] = ()) -> dict:
    annotations = [
        {"id": i, "image_id": 5, "category_id": one, "area": 100, "iscrowd": crowd, **shape(box)}
        for i, (one, box, crowd) in enumerate(
            [*((*one, 0) for one in objects), *((*one, 1) for one in crowds)], start=1
        )
    ]
    return {
        "images": [{"id": 5, "height": SIDE, "width": SIDE}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
    }


def results_of(found: Sequence[SoftDetections]) -> list[dict[str, object]]:
    return [
        {"image_id": 5, "category_id": one, "score": value, **shape(box)}
        for one, box, value in found
    ]


def split_of(found: Sequence[SoftDetections], kind: str = "bbox", **truth: object) -> ErrorSplit:
    objects = truth.pop("objects", OBJECTS)
    return split_errors(overlaps(truth_of(objects, **truth), results_of(found), kind=kind))


# What is found, AP50 of class 1 and of class 2, and both with the errors of the type mended. With
# one of two objects found, recall ends at 0.5: 51 of the 101 recalls from 0 to 1.
SCENES = {
    "localisation": ([(1, A, 0.9), (1, BESIDE_B, 0.8), SURE_C], (51 / 101, 1), (1, 1)),
    # In class 2 the wrong one comes first: precision 1/2 at recall 1.
    "classification": ([(1, A, 0.9), (2, B, 0.8), SURE_C], (51 / 101, 1 / 2), (1, 1)),
    # Precision 1, 1/2, 2/3 at recall 0.5, 0.5, 1: 51 recalls with 1 and 50 with 2/3.
    "duplicate": (
        [(1, A, 0.9), (1, A, 0.8), (1, B, 0.7), SURE_C],
        ((51 + 50 * 2 / 3) / 101, 1),
        (1, 1),
    ),
    "both": ([(1, A, 0.9), (2, BESIDE_B, 0.8), (1, B, 0.7), SURE_C], (1, 1 / 2), (1, 1)),
    "background": (
        [(1, A, 0.9), (1, NOWHERE, 0.8), (1, B, 0.7), SURE_C],
        ((51 + 50 * 2 / 3) / 101, 1),
        (1, 1),
    ),
    "missed": ([(1, A, 0.9), SURE_C], (51 / 101, 1), (1, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCENES)
def test_a_scene_with_one_error_has_that_type_and_no_other(name: str, kind: str) -> None:
    found, before, after = SCENES[name]

    gains = error_gains(truth_of(OBJECTS), results_of(found), kind=kind)

    assert gains["ap50"] == pytest.approx(sum(before) / 2, abs=1e-12)
    assert gains[name] == pytest.approx((sum(after) - sum(before)) / 2, abs=1e-12)
    split = split_of(found, kind)
    assert {other: count(split, other) for other in ERROR_TYPES} == {
        other: int(other == name) for other in ERROR_TYPES
    }
    assert all(gains[other] == 0 for other in ERROR_TYPES if other != name)


def test_there_is_a_scene_for_every_type() -> None:
    assert set(SCENES) == set(ERROR_TYPES)


def test_all_false_positives_and_all_false_negatives_are_a_pair_of_their_own() -> None:
    """A, nothing, then no B. Class 1: 51/101 at precision 1, and the wrong one changes nothing.

    Without it, the same; counting A alone, 1. With the wrong one first, precision is 1/2 instead.
    """
    after = error_gains(
        truth_of([(1, A), (1, B)]), results_of([(1, A, 0.9), (1, NOWHERE, 0.8)]), kind="bbox"
    )
    assert after["false_positive"] == 0
    assert after["false_negative"] == pytest.approx(50 / 101)
    first = error_gains(
        truth_of([(1, A), (1, B)]), results_of([(1, A, 0.8), (1, NOWHERE, 0.9)]), kind="bbox"
    )
    assert first["false_positive"] == pytest.approx(51 / 101 / 2)
    assert first["false_negative"] == pytest.approx(1 / 2 - 51 / 101 / 2)


def test_a_better_mended_detection_takes_the_object_from_a_worse_correct_one() -> None:
    """Beside B 0.9, nothing 0.7, B 0.5: precision 1/3. Mended: B 0.9, nothing 0.7, so AP is 1."""
    found = [(1, BESIDE_B, 0.9), (1, NOWHERE, 0.7), (1, B, 0.5)]
    gains = error_gains(truth_of([(1, B)]), results_of(found), kind="bbox")
    assert gains["ap50"] == pytest.approx(1 / 3)
    assert gains["localisation"] == pytest.approx(2 / 3)


def test_of_two_mended_detections_of_one_object_the_worse_goes() -> None:
    """Both mean B, and A is not found: recall ends at 1/2. Counting both would make it 1."""
    found = [(1, BESIDE_B, 0.9), (1, (50, 55, 10, 10), 0.8)]
    split = split_of(found, objects=[(1, A), (1, B)])
    assert count(split, "localisation") == 2
    assert split.ap50({"localisation"}) == pytest.approx(51 / 101)


def test_an_object_that_an_error_means_is_not_missed() -> None:
    assert split_of([(1, BESIDE_B, 0.9)]).missed.tolist() == [True, False, True]
    assert split_of([(2, B, 0.9)]).missed.tolist() == [True, False, True]
    assert split_of([(2, BESIDE_B, 0.9)]).missed.tolist() == [True, True, True]


def test_the_own_class_decides_before_another_object_that_fits_better() -> None:
    """IoU 1/3 with B of its class and 1 with an object of the other class in its place."""
    split = split_of([(1, BESIDE_B, 0.9)], objects=[(1, B), (2, BESIDE_B)])
    assert count(split, "localisation") == 1
    assert count(split, "classification") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_in_a_crowd_of_its_class_is_no_error_and_a_crowd_is_not_missed(kind: str) -> None:
    crowd = (60, 60, 40, 40)
    inside = (65, 65, 10, 10)
    found = [(1, inside, 0.9), (2, inside, 0.8), (1, A, 0.7)]
    split = split_of(found, kind, objects=[(1, A)], crowds=[(1, crowd)])
    # Of the other class there is no crowd here, so that one is an error, and of the background:
    # crowds are not objects that it could have meant.
    assert {name: count(split, name) for name in ERROR_TYPES if count(split, name)} == {
        "background": 1
    }
    assert split.ap50() == 1.0
    assert len(split.true_category) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_ap50_is_cocos_and_with_everything_mended_it_is_one(kind: str, seed: int) -> None:
    """Crowds, ties across images, and several detections of each object, some of another class."""
    truth, boxes, masks = scene(seed=seed)
    results = [
        {**one, "score": round(one["score"], 1)} for one in (boxes if kind == "bbox" else masks)
    ]

    split = split_errors(overlaps(truth, results, kind=kind))

    expected = score(truth, results, kind=kind, class_names=NAMES).ap50
    assert split.ap50() == pytest.approx(expected, abs=1e-12)
    assert 0.1 < split.ap50() < 0.9
    assert split.ap50(ERROR_TYPES) == 1.0
    assert split.ap50(OPPOSITES) == 1.0


def test_every_detection_is_counted_exactly_once() -> None:
    truth, boxes, _ = scene()
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    split = split_errors(overlaps(truth, boxes, kind="bbox"))
    wrong = sum(count(split, name) for name in ERROR_TYPES if name != "missed")
    assert wrong + int(split.is_hit.sum()) == len(boxes)
    assert min(count(split, name) for name in ("localisation", "classification", "duplicate")) > 0


def test_the_worst_beyond_a_hundred_of_a_class_in_an_image_do_not_count() -> None:
    """As in COCO: 100 wrong ones of class 1 hide A, and those of class 2 hide nothing of it."""
    wrong = [(1, NOWHERE, 0.9)] * 100
    assert split_of([*wrong, (1, A, 0.5)], objects=[(1, A)]).ap50() == 0.0
    assert split_of([*wrong[1:], (1, A, 0.5)], objects=[(1, A)]).ap50() == pytest.approx(1 / 100)
    of_other = [(2, NOWHERE, 0.9)] * 100
    assert split_of([*of_other, (1, A, 0.5)], objects=[(1, A)]).ap50() == 1.0


def test_without_any_detection_everything_is_missed() -> None:
    gains = error_gains(truth_of(OBJECTS), [], kind="segm")
    assert gains["ap50"] == 0
    assert gains["missed"] == gains["false_negative"] == 1
    assert gains["false_positive"] == 0


def test_a_class_with_no_object_left_to_find_is_right_only_without_detections() -> None:
    assert average_precision(np.zeros(0, bool), 0) == 1
    assert average_precision(np.zeros(3, bool), 0) == 0


def test_without_ground_truth_there_is_nothing_to_say() -> None:
    with pytest.raises(SpecError, match="no object that is not a crowd"):
        error_gains(truth_of([], [(1, A)]), [], kind="bbox")
