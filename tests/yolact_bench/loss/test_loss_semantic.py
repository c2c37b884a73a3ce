"""The semantic loss: union per class, no crowds, mean over cells and images."""

from math import log

import pytest
import torch

from yolact_bench.errors import SpecError
from yolact_bench.loss.semantic import bce, class_maps
from yolact_bench.shapes import Target


def target(labels: list[int], columns: list[int], crowds: int = 0) -> Target:
    """On a 4 x 4 map, an object per column."""
    masks = torch.zeros(len(labels), 4, 4, dtype=torch.uint8)
    for mask, column in zip(masks, columns, strict=True):
        mask[:, column] = 1
    return Target(
        boxes=torch.zeros(len(labels), 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks,
        is_crowd=torch.arange(len(labels)) >= len(labels) - crowds,
    )


def test_objects_of_a_class_are_united_and_crowds_left_out() -> None:
    maps = class_maps(target([1, 1, 1, -1], [0, 0, 2, 3], crowds=1), (2, 4, 4))
    assert maps[0].tolist() == [[0.0, 0.0, 0.0, 0.0]] * 4
    assert maps[1].tolist() == [[1.0, 0.0, 1.0, 0.0]] * 4


def test_the_loss_sums_classes_and_averages_cells_and_images() -> None:
    """Logits 0 cost log 2 in every cell of 3 classes: 3 log 2 an image. In the first image class 0
    has logit 1 in a quarter of cells where it is (cost log(1 + 1/e)) instead."""
    logits = torch.zeros(2, 3, 4, 4)
    logits[0, 0, :, 1] = 1.0
    loss = bce(logits, [target([0], [1]), target([], [])], weight=2.0)
    saved = 0.25 * (log(2) - log(1 + 1 / 2.718281828459045))
    assert loss.item() == pytest.approx(2.0 * (3 * log(2) - saved / 2), rel=1e-6)


def test_a_network_in_evaluation_mode_is_told_how_to_give_logits() -> None:
    with pytest.raises(SpecError, match=r"network\.train\(\)"):
        bce(None, [target([], [])])
