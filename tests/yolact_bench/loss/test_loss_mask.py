"""The mask loss: target, crop, area, clamp and subset."""

from math import log

import pytest
import torch
from torch import Tensor

from yolact_bench.geometry.masks import masks_at
from yolact_bench.loss.mask import lincomb_bce
from yolact_bench.loss.protocols import Positives

ONE = torch.tensor(1.0)
SIDE = 8


def positives(
    logit: float, boxes: list[list[float]], masks: Tensor, truth: list[int] | None = None
) -> Positives:
    """One prototype of that value everywhere, coefficient 1: a uniform soft mask."""
    truth = truth if truth is not None else list(range(len(boxes)))
    return Positives(
        coefficients=torch.ones(len(truth), 1),
        truth=torch.tensor(truth, dtype=torch.int64),
        prototypes=torch.full((SIDE, SIDE, 1), logit),
        boxes=torch.tensor(boxes),
        labels=torch.arange(len(boxes)),
        masks=masks,
    )


def mask_of(rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    mask[:, rows, columns] = 1
    return mask


def test_the_loss_is_the_cross_entropy_inside_the_wider_box_over_the_box_area() -> None:
    """Soft mask 1/2, box of cells 2 to 5 in both axes: 4 x 4 cells. One cell wider it is 6 x 6,
    each costing log 2 whatever its target. 36 log 2 / 16."""
    image = positives(0.0, [[0.25, 0.25, 0.75, 0.75]], mask_of(slice(2, 6), slice(2, 6)))
    loss, _ = lincomb_bce([image], ONE, None, weight=1.0)
    assert loss.item() == pytest.approx(36 * log(2) / 16, rel=1e-6)


def test_a_mask_outside_its_box_costs_a_hundred_a_cell() -> None:
    """The prediction is cropped to 0 there, the target is not: -log 0, clamped at 100. Box and
    target share no cell: 2 rows of 8 target cells, and 5 x 3 = 15 box cells of log 2. The box
    covers 4 x 2 cells at the upper edge, one cell wider 6 x 3."""
    image = positives(0.0, [[0.25, 0.0, 0.75, 0.25]], mask_of(slice(6, 8), slice(0, 8)))
    loss, _ = lincomb_bce([image], ONE, None, weight=1.0)
    assert loss.item() == pytest.approx((16 * 100 + 18 * log(2)) / 8, rel=1e-6)


def test_a_saturated_sigmoid_on_background_costs_a_hundred_and_not_its_logit() -> None:
    """sigmoid(40) is 1 in float32, so log(1 - 1) is clamped at -100; from logits it were 40.
    The box fills the map: 64 cells over an area of 64."""
    image = positives(40.0, [[0.0, 0.0, 1.0, 1.0]], mask_of(slice(0, 0), slice(0, 0)))
    loss, _ = lincomb_bce([image], ONE, None, weight=1.0)
    assert loss.item() == pytest.approx(100.0)


def test_without_crop_every_cell_counts_over_the_area_of_the_map() -> None:
    """64 log 2 / 64, however small the box."""
    image = positives(0.0, [[0.25, 0.25, 0.5, 0.5]], mask_of(slice(2, 4), slice(2, 4)))
    loss, (masks,) = lincomb_bce([image], ONE, None, weight=1.0, crop=False)
    assert loss.item() == pytest.approx(log(2), rel=1e-6)
    assert (masks.predicted == 0.5).all()


def test_above_the_limit_a_subset_stands_for_all() -> None:
    """Ten equal positives, four looked at and scaled by 10/4: the loss of all ten."""
    box, mask = [[0.25, 0.25, 0.75, 0.75]], mask_of(slice(2, 6), slice(2, 6))
    image = positives(0.3, box, mask, truth=[0] * 10)
    every, all_masks = lincomb_bce([image], ONE, None)
    some, some_masks = lincomb_bce([image], ONE, torch.Generator().manual_seed(0), max_positives=4)
    assert (len(all_masks[0].labels), len(some_masks[0].labels)) == (10, 4)
    assert some.item() == pytest.approx(every.item(), rel=1e-5)


def test_the_subset_is_the_generators_and_without_repetition() -> None:
    """Ten objects with ten labels; the same seed draws the same four, another seed others."""
    boxes = [[0.0, 0.0, 1.0, 1.0]] * 10
    image = positives(0.0, boxes, torch.zeros(10, SIDE, SIDE, dtype=torch.uint8))

    def drawn(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        _, (masks,) = lincomb_bce([image], ONE, generator, max_positives=4)
        return masks.labels.tolist()

    assert drawn(0) == drawn(0)
    assert len(set(drawn(0))) == 4
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1


def test_masks_at_the_wanted_size_are_used_as_they_are() -> None:
    masks = torch.randint(0, 2, (3, SIDE, SIDE), dtype=torch.uint8)
    assert torch.equal(masks_at(masks, SIDE, SIDE), masks.float())


def test_a_cell_is_set_when_more_than_half_of_its_surroundings_are() -> None:
    """Halving samples the centre of 2 x 2 pixels, their mean: 3/4 is set, exactly 1/2 is not."""
    mask = torch.tensor([[[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]]).byte()
    assert masks_at(mask, 2, 2).tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_a_network_that_overflowed_gives_a_loss_that_is_no_number_and_no_crash() -> None:
    image = Positives(
        coefficients=torch.full((1, 2), torch.nan),
        truth=torch.zeros(1, dtype=torch.int64),
        prototypes=torch.ones(4, 4, 2),
        boxes=torch.tensor([[0.0, 0.0, 1.0, 1.0]]),
        labels=torch.zeros(1, dtype=torch.int64),
        masks=torch.ones(1, 4, 4, dtype=torch.uint8),
    )
    loss, _ = lincomb_bce([image], torch.tensor(1.0), None)
    assert bool(loss.isnan())
