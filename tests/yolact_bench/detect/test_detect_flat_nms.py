"""Fast NMS from the best pairs alone is Fast NMS of every class, to the last bit."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support.nms_scenes import Scene, clustered_logits, random_scene, scenes
from yolact_bench.detect.candidates import candidate_rows, rows_of_blocks
from yolact_bench.detect.leading import fast_survivors, leading_pairs
from yolact_bench.detect.nms import NMS, fast
from yolact_bench.detect.nms.fast import fast_nms, fast_nms_per_class
from yolact_bench.geometry.boxes import box_iou, iou_of_pairs
from yolact_bench.shapes import Selection


def assert_same(got: Selection, expected: Selection) -> None:
    assert torch.equal(got.label, expected.label)
    assert torch.equal(got.anchor, expected.anchor)
    assert torch.equal(got.score, expected.score)


@settings(max_examples=100, deadline=None)
@given(
    scene=scenes(),
    min_score=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    max_iou=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    top_k=st.sampled_from([1, 4, 200]),
    max_detections=st.sampled_from([0, 1, 7, 100]),
    attempts=st.sampled_from([(1, 1), (3, 20), (50, 500), (512, 8192)]),
)
def test_every_scene_gives_the_same_detections(
    scene: Scene,
    min_score: float,
    max_iou: float,
    top_k: int,
    max_detections: int,
    attempts: tuple[int, int],
) -> None:
    options = {
        "min_score": min_score,
        "max_iou": max_iou,
        "top_k": top_k,
        "max_detections": max_detections,
    }
    with patch.object(fast, "ATTEMPTS", attempts):
        assert_same(fast_nms(*scene, **options), fast_nms_per_class(*scene, **options))


@pytest.mark.parametrize("objects", [0, 3, 20, 60])
@pytest.mark.parametrize("classes", [1, 5, 80])
def test_scenes_as_a_trained_detector_has_them_give_the_same_detections(
    objects: int, classes: int
) -> None:
    boxes, logits = clustered_logits(3000, objects, 15, classes=classes)
    scores = logits.softmax(1)[:, 1:]
    assert_same(fast_nms(boxes, scores), fast_nms_per_class(boxes, scores))
    whole = scores.contiguous()
    assert_same(fast_nms(boxes, whole), fast_nms_per_class(boxes, whole))


@pytest.mark.parametrize("score", [1.0, 0.4])
def test_equal_scores_everywhere_give_the_same_detections(score: float) -> None:
    """No pair is above any other, so no number of best pairs tells which come first."""
    boxes, _ = random_scene(0, 400, 30)
    scores = torch.full((400, 30), score)
    assert_same(fast_nms(boxes, scores), fast_nms_per_class(boxes, scores))


def test_more_than_top_k_of_one_class_are_cut_where_they_stand() -> None:
    """250 apart boxes of class 0 above all of class 1: 200 of them, then class 1."""
    left = torch.arange(250.0)[:, None]
    boxes = torch.cat([left, torch.zeros(250, 1), left + 0.5, torch.ones(250, 1)], 1)
    scores = torch.stack([torch.linspace(0.9, 0.6, 250), torch.linspace(0.5, 0.4, 250)], 1)
    kept = fast_nms(boxes, scores, max_detections=300)
    assert kept.label.tolist() == [0] * 200 + [1] * 100
    assert_same(kept, fast_nms_per_class(boxes, scores, max_detections=300))


def test_the_per_class_form_is_not_asked_where_the_best_pairs_suffice() -> None:
    boxes, logits = clustered_logits(3000, 20, 15)
    scores = logits.softmax(1)[:, 1:]
    asked = patch.object(fast, "fast_nms_per_class", side_effect=RuntimeError("asked"))
    with asked:
        assert len(fast_nms(boxes, scores).anchor) == 100
    with (
        asked,
        patch.object(fast, "ATTEMPTS", (100, 100)),
        pytest.raises(RuntimeError, match="asked"),
    ):
        fast_nms(boxes, scores)


def test_pairs_that_tie_with_one_left_out_are_left_out() -> None:
    """0.9, 0.5, 0.5, 0.5: of the best three two tie with the fourth."""
    scores = torch.tensor([[0.5, 0.9], [0.5, 0.5]])
    three, four = leading_pairs(scores, 3), leading_pairs(scores, 4)
    assert [three.row.tolist(), three.label.tolist(), three.complete] == [[0], [1], False]
    # All four: ties by class, then by row.
    assert four.label.tolist() == [1, 0, 0, 1]
    assert four.row.tolist() == [0, 0, 1, 1]
    assert four.complete


@settings(max_examples=60, deadline=None)
@given(scene=scenes(), top_k=st.integers(1, 20), max_iou=st.sampled_from([0.2, 0.5]))
def test_overlaps_within_classes_are_those_of_the_whole_matrix(
    scene: Scene, top_k: int, max_iou: float
) -> None:
    boxes, scores = scene
    label = scores.argmax(1)
    better = (label[:, None] == label).triu(1)
    overlapped = ((box_iou(boxes, boxes) > max_iou) & better).any(0)
    expected = ~overlapped & (better.sum(0) < top_k)
    assert torch.equal(fast_survivors(boxes, label, max_iou=max_iou, top_k=top_k), expected)
    a, b = torch.triu_indices(len(boxes), len(boxes))
    assert torch.equal(iou_of_pairs(boxes, a, b), box_iou(boxes, boxes)[a, b])


@settings(max_examples=100, deadline=None)
@given(scene=scenes(), floor=st.sampled_from([0.0, 0.05, 0.5, 1.0]), strided=st.booleans())
def test_candidates_are_the_rows_with_a_class_above_the_floor(
    scene: Scene, floor: float, strided: bool
) -> None:
    scores = scene[1]
    expected = (scores.amax(1) > floor).nonzero()[:, 0]
    if strided:
        scores = torch.cat([torch.ones(len(scores), 1), scores], 1)[:, 1:]
    else:
        assert set(expected.tolist()) <= set(rows_of_blocks(scores, floor).tolist())
    assert torch.equal(candidate_rows(scores, floor), expected)


def test_a_row_that_is_no_number_does_not_hide_its_neighbours() -> None:
    scores = torch.full((16, 2), 0.5)
    scores[3, 1] = torch.nan
    assert candidate_rows(scores, 0.05).tolist() == [row for row in range(16) if row != 3]


def scores_of_one_class(seed: int) -> Tensor:
    return torch.rand(300, 1, generator=torch.Generator().manual_seed(seed))


def test_one_class_is_as_good_as_many() -> None:
    boxes, _ = random_scene(1, 300, 1)
    scores = scores_of_one_class(1)
    assert_same(NMS["fast"](boxes, scores), fast_nms_per_class(boxes, scores))
