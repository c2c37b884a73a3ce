"""Quirks of the reference's training that no recorded number shows."""

import numpy as np
import pytest

from yolact_bench.data.augment.ssd import _large_enough
from yolact_bench.model.batch_norm import auto
from yolact_bench.spec.presets import preset


@pytest.mark.parametrize(("images", "frozen"), [(5, True), (6, False)])
def test_batch_norm_stands_still_under_six_images_a_device(images: int, frozen: bool) -> None:
    assert auto(images) is frozen


def test_the_limit_for_tiny_boxes_is_a_fraction_compared_with_pixels() -> None:
    """4 / 550 = 0.0073 px: a side of 0.0075 px stays and one of 0.007 px goes, at any size."""
    sides_px = np.array([0.0075, 0.0070, 3.0])
    boxes = np.zeros((3, 4))
    boxes[:, 2:] = sides_px[:, None] / 550
    assert _large_enough(np.ones(3, dtype=bool), boxes, 550).tolist() == [0, 2]


@pytest.mark.parametrize("side", [400, 700])
def test_scales_of_the_other_sizes_are_truncated_to_whole_pixels(side: int) -> None:
    """24 · 700 / 550 = 30.5 is 30, not 31; and so on for every level."""
    scales = [int(scale * side / 550) for scale in (24, 48, 96, 192, 384)]
    assert preset(f"yolact_r101_im{side}").anchors["scales"] == scales


def test_700_px_take_300_positives_into_the_mask_loss() -> None:
    assert preset("yolact_r101_im700").mask_loss["max_positives"] == 300
    assert "max_positives" not in preset("yolact_r101").mask_loss  # 100 by default
