"""What is particular to each NMS."""

import math
from functools import partial

import pytest
import torch
from torchvision.ops import nms as torchvision_nms

from yolact_bench.detect.candidates import greedy_survivors
from yolact_bench.detect.nms import NMS
from yolact_bench.geometry.boxes import box_iou

# Width 0.4, shifted by 0.1: IoU(a, b) = IoU(b, c) = 0.3 / 0.5 = 0.6, IoU(a, c) = 0.2 / 0.6 = 1/3.
CHAIN = torch.tensor([[0.0, 0.0, 0.4, 1.0], [0.1, 0.0, 0.5, 1.0], [0.2, 0.0, 0.6, 1.0]])
CHAIN_SCORES = torch.tensor([[0.9], [0.8], [0.7]])
PAIR = CHAIN[:2]


def test_a_suppressed_box_still_suppresses_in_fast_nms_only() -> None:
    """A beats B and B overlaps C, but A hardly overlaps C: only Fast NMS drops C."""
    assert NMS["fast"](CHAIN, CHAIN_SCORES).anchor.tolist() == [0]
    assert NMS["cross_class_fast"](CHAIN, CHAIN_SCORES).anchor.tolist() == [0]
    for name in ("sequential", "cluster", "diou"):
        assert NMS[name](CHAIN, CHAIN_SCORES).anchor.tolist() == [0, 2], name


def test_boxes_of_different_classes_compete_in_cross_class_nms_only() -> None:
    scores = torch.tensor([[0.9, 0.01], [0.02, 0.8]])
    assert NMS["cross_class_fast"](PAIR, scores).label.tolist() == [0]
    for name in ("fast", "sequential", "soft", "matrix", "cluster", "diou"):
        kept = NMS[name](PAIR, scores)
        assert [kept.label.tolist()[:2], kept.anchor.tolist()[:2]] == [[0, 1], [0, 1]], name


def test_a_candidate_comes_out_under_its_unlikely_classes_in_fast_nms() -> None:
    """There is no second threshold: 0.01 comes out of fast, not of sequential."""
    scores = torch.tensor([[0.9, 0.01]])
    assert NMS["fast"](CHAIN[:1], scores).score.tolist() == pytest.approx([0.9, 0.01])
    assert NMS["sequential"](CHAIN[:1], scores).score.tolist() == pytest.approx([0.9])


def test_cross_class_nms_is_not_cut_to_a_hundred_but_to_top_k() -> None:
    left = torch.arange(250.0)[:, None]
    boxes = torch.cat([left, torch.zeros(250, 1), left + 0.5, torch.ones(250, 1)], 1)
    scores = torch.linspace(0.9, 0.5, 250)[:, None]
    assert len(NMS["cross_class_fast"](boxes, scores).anchor) == 200
    assert len(NMS["fast"](boxes, scores).anchor) == 100


def test_the_pixel_rule_suppresses_at_the_limit_and_counts_both_ends() -> None:
    """On a grid of 10: sides 10 + 1 and 4 + 1, so IoU = 5 / 11 and not 4 / 10."""
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.4]])
    scores = torch.tensor([[0.9], [0.8]])
    kept = {
        (grid, limit): len(NMS["sequential"](boxes, scores, grid_px=grid, max_iou=limit).anchor)
        for grid, limit in [(10, 0.44), (10, 0.46), (None, 0.39), (None, 0.41)]
    }
    assert kept == {(10, 0.44): 1, (10, 0.46): 2, (None, 0.39): 1, (None, 0.41): 2}
    # Sides 3 + 1 and 1 + 1 give exactly 0.5: at the limit the reference suppresses.
    boxes = torch.tensor([[0.0, 0.0, 0.75, 0.75], [0.0, 0.0, 0.75, 0.25]])
    assert len(NMS["sequential"](boxes, scores, grid_px=4).anchor) == 1


def test_sequential_keeps_classes_apart_for_boxes_outside_the_image() -> None:
    """Negative corners do not reach into the class below when classes are moved apart."""
    boxes = torch.tensor([[0.2, 0.2, 1.0, 1.0], [-0.9, -0.9, -0.1, -0.1]])
    scores = torch.tensor([[0.9, 0.01], [0.01, 0.8]])
    assert NMS["sequential"](boxes, scores).anchor.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_fixed_point_of_cluster_nms_is_greedy_nms(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(150, 2, generator=generator)
    boxes = torch.cat([corner, corner + torch.rand(150, 2, generator=generator)], 1)
    scores = torch.linspace(1, 0, 150)
    keep = greedy_survivors(box_iou(boxes, boxes) > 0.5)
    assert keep.nonzero()[:, 0].tolist() == torchvision_nms(boxes, scores, 0.5).tolist()


def test_diou_spares_a_box_whose_centre_is_apart() -> None:
    """IoU 0.6; centres 0.1 apart, hull 0.5 × 1: DIoU = 0.6 − 0.01 / 1.25 = 0.592."""
    for limit, count in ((0.591, 1), (0.593, 2)):
        assert len(NMS["diou"](PAIR, CHAIN_SCORES[:2], max_diou=limit).anchor) == count
    assert len(NMS["cluster"](PAIR, CHAIN_SCORES[:2], max_iou=0.593).anchor) == 1


def test_soft_nms_lowers_the_score_of_an_overlapping_box() -> None:
    """IoU 0.6. Gaussian: 0.8 · exp(−0.36 / 0.5). Linear: 0.8 · (1 − 0.6)."""
    gaussian = NMS["soft"](PAIR, CHAIN_SCORES[:2])
    linear = NMS["soft"](PAIR, CHAIN_SCORES[:2], decay="linear")
    assert gaussian.score.tolist() == pytest.approx([0.9, 0.8 * math.exp(-0.72)])
    assert linear.score.tolist() == pytest.approx([0.9, 0.32])


def test_soft_nms_decides_the_order_anew_after_each_choice() -> None:
    """B (0.8) falls to 0.8 · 0.4 = 0.32 and C (0.7) to 0.7 · (1 − 1/3) = 0.467: C is next, and

    then B falls again, to 0.32 · 0.4 = 0.128.
    """
    kept = NMS["soft"](CHAIN, CHAIN_SCORES, decay="linear")
    assert kept.anchor.tolist() == [0, 2, 1]
    assert kept.score.tolist() == pytest.approx([0.9, 0.7 * 2 / 3, 0.128])


def test_matrix_nms_forgives_where_the_suppressor_was_suppressed() -> None:
    """Linear. B: 1 − 0.6 = 0.4. C: from A (1 − 1/3) / 1 = 2/3; from B 0.4 / (1 − 0.6) = 1."""
    kept = NMS["matrix"](CHAIN, CHAIN_SCORES, decay="linear")
    assert kept.anchor.tolist() == [0, 2, 1]
    assert kept.score.tolist() == pytest.approx([0.9, 0.7 * 2 / 3, 0.8 * 0.4])


def test_matrix_nms_is_gaussian_by_default() -> None:
    """IoU 0.6, sigma 0.5: 0.8 · exp(−0.36 / 0.5) = 0.389; below a floor of 0.4 it goes."""
    kept = NMS["matrix"](PAIR, CHAIN_SCORES[:2])
    assert kept.score.tolist() == pytest.approx([0.9, 0.8 * math.exp(-0.72)])
    floor = partial(NMS["matrix"], min_decayed=0.4)
    assert floor(PAIR, CHAIN_SCORES[:2]).anchor.tolist() == [0]
