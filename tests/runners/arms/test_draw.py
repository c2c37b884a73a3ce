"""Pictures of detections."""

import numpy as np
import pytest
import torch

from runners.arms.draw import COLOURS, _place, draw
from yolact_bench.detect.pipeline import SoftDetections, to_detections

CLASSES = ["disc", "a class with a remarkably long name"]


def found(boxes: list[list[float]], scores: list[float], size: tuple[int, int]) -> SoftDetections:
    count, (height, width) = len(boxes), size
    fractions = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    soft = torch.zeros(count, 20, 20)
    for mask, (left, top, right, bottom) in zip(
        soft, (fractions * 20).long().tolist(), strict=True
    ):
        mask[top:bottom, left:right] = 1
    return SoftDetections(
        boxes=fractions,
        boxes_px=(fractions * torch.tensor([width, height, width, height])).trunc(),
        scores=torch.tensor(scores),
        mask_scores=torch.tensor(scores),
        labels=torch.arange(count) % 2,
        soft_masks=soft,
        height=height,
        width=width,
        mask_threshold=0.5,
    )


def grey(size: tuple[int, int]) -> np.ndarray:
    return np.full((*size, 3), 90, dtype=np.uint8)


def test_the_image_given_is_not_drawn_on() -> None:
    image = grey((200, 300))
    picture = draw(image, found([[0.2, 0.3, 0.8, 0.9]], [0.9], (200, 300)), CLASSES)
    assert (image == 90).all()
    assert picture.shape == image.shape
    assert picture.dtype == np.uint8
    assert (picture != 90).any()


def test_the_inside_of_a_mask_is_tinted_with_the_first_colour() -> None:
    """0.55 · 90 + 0.45 · 255 = 164.25 for red; the outline is far from the middle."""
    picture = draw(grey((200, 300)), found([[0.2, 0.2, 0.8, 0.9]], [0.9], (200, 300)), CLASSES)
    expected = [round(0.55 * 90 + 0.45 * channel) for channel in COLOURS[0]]
    assert picture[120, 150].tolist() == expected


def test_weak_detections_are_left_out() -> None:
    weak = found([[0.2, 0.2, 0.8, 0.9]], [0.29], (200, 300))
    assert (draw(grey((200, 300)), weak, CLASSES) == 90).all()
    assert (draw(grey((200, 300)), weak, CLASSES, min_score=0.2) != 90).any()


def test_full_masks_and_masks_at_prototype_size_give_the_same_picture() -> None:
    some = found([[0.1, 0.2, 0.5, 0.9], [0.4, 0.1, 0.9, 0.6]], [0.9, 0.8], (200, 300))
    from_found = draw(grey((200, 300)), some, CLASSES)
    assert np.array_equal(from_found, draw(grey((200, 300)), to_detections(some), CLASSES))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (20, 400), (400, 20)])
def test_any_image_can_be_drawn_on(size: tuple[int, int]) -> None:
    everywhere = found([[0, 0, 1, 1], [0.5, 0.5, 1, 1], [0, 0, 0, 0]], [0.9, 0.8, 0.7], size)
    assert draw(grey(size), everywhere, CLASSES).shape == (*size, 3)
    assert np.array_equal(draw(grey(size), found([], [], size), CLASSES), grey(size))


def test_a_tag_stays_inside_the_image() -> None:
    for box in ((0, 0, 10, 10), (190, 0, 200, 10), (0, 90, 10, 100), (190, 90, 200, 100)):
        left, top = _place(box, np.zeros((100, 200), np.int64), height=15, width=60)
        assert left >= 0
        assert top >= 0
        assert left + 60 <= 200
        assert top + 15 <= 100


def test_a_tag_avoids_the_earlier_ones() -> None:
    """Ten detections on one spot: every tag finds a place of its own."""
    occupied = np.zeros((300, 300), np.int64)
    for _ in range(10):
        left, top = _place((50, 50, 120, 250), occupied, height=15, width=60)
        occupied[top : top + 15, left : left + 60] += 1
    assert occupied.max() == 1
