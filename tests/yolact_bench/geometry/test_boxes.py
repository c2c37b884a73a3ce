"""Boxes: overlap, coding, pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_convert

from yolact_bench.geometry.boxes import (
    box_area,
    box_diou,
    box_iou,
    crowd_overlap,
    decode,
    encode,
    overlaps_a_better,
    to_cxcywh,
    to_pixels,
)


def boxes(*corners: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor(corners)


def test_the_iou_of_two_boxes_is_shared_over_covered_area() -> None:
    """Width 0.4, shifted by 0.1: 0.3 shared, 0.5 covered. Apart: 0."""
    a = boxes((0.0, 0.0, 0.4, 1.0))
    b = boxes((0.1, 0.0, 0.5, 1.0), (0.6, 0.0, 1.0, 1.0))
    assert box_iou(a, b).tolist()[0] == pytest.approx([0.3 / 0.5, 0.0])


def test_boxes_without_area_have_iou_zero() -> None:
    point = boxes((0.5, 0.5, 0.5, 0.5))
    assert box_iou(point, point).item() == 0.0
    assert box_area(point).item() == 0.0


def test_iou_works_on_any_number_of_leading_axes() -> None:
    a, b = torch.rand(2, 3, 5, 4), torch.rand(2, 3, 6, 4)
    assert box_iou(a, b).shape == (2, 3, 5, 6)


def test_diou_subtracts_the_distance_of_the_centres() -> None:
    """Unit squares, the second one to the right: IoU 0, distance 1, hull 2 × 1: 0 − 1 / 5."""
    a, b = boxes((0.0, 0.0, 1.0, 1.0)), boxes((1.0, 0.0, 2.0, 1.0))
    assert box_diou(a, b).item() == pytest.approx(-1 / 5)
    assert box_diou(a, a).item() == pytest.approx(1.0)


def test_crowd_overlap_is_a_part_of_the_anchor_not_of_the_crowd() -> None:
    """The anchor lies half inside a crowd ten times its size."""
    anchor, crowd = boxes((0.0, 0.0, 0.2, 0.1)), boxes((0.1, 0.0, 0.3, 1.0))
    assert crowd_overlap(anchor, crowd).item() == pytest.approx(0.5)
    assert crowd_overlap(crowd, anchor).item() == pytest.approx(0.05)


def test_only_an_earlier_box_counts_as_better() -> None:
    pair = boxes((0.0, 0.0, 0.4, 1.0), (0.1, 0.0, 0.5, 1.0))  # IoU 0.6
    assert overlaps_a_better(pair, 0.5).tolist() == [False, True]
    assert overlaps_a_better(pair, 0.7).tolist() == [False, False]
    assert overlaps_a_better(torch.zeros(3, 0, 4), 0.5).shape == (3, 0)


def test_an_overlap_of_exactly_the_limit_is_allowed() -> None:
    pair = boxes((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 0.5))  # IoU 0.5, exact in binary
    assert overlaps_a_better(pair, 0.5).tolist() == [False, False]


def test_the_regression_carries_the_variances_of_ssd() -> None:
    """Anchor 0.2 wide at 0.5; box twice as wide, centre 0.1 right: 0.1 / (0.1 · 0.2) = 5,

    ln(0.4 / 0.2) / 0.2 = 5 · ln 2.
    """
    anchor = boxes((0.5, 0.5, 0.2, 0.2))
    box = box_convert(boxes((0.6, 0.5, 0.4, 0.2)), "cxcywh", "xyxy")
    assert encode(box, anchor).tolist()[0] == pytest.approx([5, 0, 5 * math.log(2), 0], abs=1e-5)


side = st.floats(0.015625, 1.0, width=32)
place = st.floats(0.0, 1.0, width=32)


@settings(max_examples=50, deadline=None)
@given(box=st.tuples(place, place, side, side), anchor=st.tuples(place, place, side, side))
def test_decoding_undoes_encoding(
    box: tuple[float, float, float, float], anchor: tuple[float, float, float, float]
) -> None:
    corners, anchors = box_convert(boxes(box), "cxcywh", "xyxy"), boxes(anchor)
    assert torch.allclose(decode(encode(corners, anchors), anchors), corners, atol=1e-5)
    assert torch.allclose(to_cxcywh(corners), boxes(box), atol=1e-6)


def test_half_precision_is_decoded_in_float32() -> None:
    anchors = boxes((0.5, 0.5, 0.25, 0.25))
    decoded = decode(torch.full((1, 4), 0.5, dtype=torch.bfloat16), anchors)
    assert decoded.dtype == torch.float32
    assert torch.equal(decoded, decode(torch.full((1, 4), 0.5), anchors))


def test_pixels_are_ordered_clamped_and_truncated() -> None:
    """640 · 0.2499 = 159.94 → 159; corners given in the wrong order are exchanged."""
    fractions = boxes((0.2499, -0.1, 1.3, 0.5), (0.75, 0.5, 0.25, 0.25))
    assert to_pixels(fractions, 480, 640).tolist() == [[159, 0, 640, 240], [160, 120, 480, 240]]


def test_a_box_outside_the_image_has_no_area_in_pixels() -> None:
    outside = boxes((-0.4, 0.1, -0.1, 0.5), (1.1, 0.1, 1.4, 0.5))
    assert box_area(to_pixels(outside, 100, 100)).tolist() == [0, 0]
