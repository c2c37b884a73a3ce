"""Masks: the crop's bounds, and upsampling that neither differs from torch's nor fills memory."""

import pytest
import torch
from torch import Tensor

from yolact_bench.geometry.masks import LinearCombination, crop


def inside(box: tuple[float, float, float, float], padding: int = 1) -> list[list[int]]:
    """Rows and columns that a 10 × 10 mask of ones keeps."""
    kept = crop(torch.ones(1, 10, 10), torch.tensor([box]), padding=padding)[0] > 0
    return [kept.any(1).nonzero()[:, 0].tolist(), kept.any(0).nonzero()[:, 0].tolist()]


def test_a_crop_is_one_cell_wider_than_its_box() -> None:
    """Columns 3 to 5 exclusive of 10 become 2 to 6 exclusive."""
    assert inside((0.3, 0.5, 0.5, 0.8)) == [[4, 5, 6, 7, 8], [2, 3, 4, 5]]


def test_the_bounds_of_a_crop_are_not_rounded() -> None:
    """2.25 cells: near bound 1.25 drops cell 1. 5.25 cells: far bound 6.25 keeps cell 6."""
    assert inside((0.225, 0.225, 0.525, 0.525))[1] == [2, 3, 4, 5, 6]


def test_a_crop_ends_at_the_mask() -> None:
    assert inside((-0.5, 0.9, 0.05, 1.7)) == [[8, 9], [0, 1]]


def test_corners_in_the_wrong_order_crop_the_same() -> None:
    assert inside((0.5, 0.8, 0.3, 0.5)) == inside((0.3, 0.5, 0.5, 0.8))


def test_the_padding_can_be_left_out() -> None:
    assert inside((0.3, 0.5, 0.5, 0.8), padding=0) == [[5, 6, 7], [3, 4]]


def test_a_crop_passes_gradients_inside_only() -> None:
    soft = torch.rand(1, 4, 4, requires_grad=True)
    crop(soft, torch.tensor([[0.0, 0.0, 0.5, 0.5]]), padding=0).sum().backward()
    assert soft.grad is not None
    assert soft.grad[0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]


def assembled(side: int, k: int, *, strided: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Prototypes, coefficients and boxes of 100 detections."""
    generator = torch.Generator().manual_seed(3)
    prototypes = torch.rand(side, side, k, generator=generator)
    if strided:  # as a network gives them: channels first in memory
        prototypes = prototypes.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    corner = torch.rand(100, 2, generator=generator) * 0.5
    coefficients = torch.randn(100, k, generator=generator)
    return prototypes, coefficients, torch.cat([corner, corner + 0.5], 1)


@pytest.mark.parametrize(("side", "k"), [(35, 8), (40, 16), (138, 32)])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_soft_mask_has_the_same_bits_whichever_other_detections_there_are(
    side: int, k: int, strided: bool, threads: int
) -> None:
    prototypes, coefficients, boxes = assembled(side, k, strided=strided)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        every = LinearCombination()(prototypes, coefficients, boxes)
        for rows in ([3], [0, 99], [50, 7, 20], list(range(40, 47)), list(range(33, -1, -1))):
            few = LinearCombination()(prototypes, coefficients[rows], boxes[rows])
            assert torch.equal(few, every[rows])
    finally:
        torch.set_num_threads(before)


def test_assembling_in_blocks_is_the_plain_product_to_rounding_and_has_its_gradient() -> None:
    prototypes, coefficients, boxes = assembled(20, 4, strided=False)
    blocks = LinearCombination(crop=False)(prototypes, coefficients, boxes)
    coefficients.requires_grad_()
    whole = LinearCombination(crop=False)(prototypes, coefficients, boxes)
    assert torch.equal(
        whole, (coefficients @ prototypes.reshape(400, 4).T).sigmoid().view_as(whole)
    )
    assert torch.allclose(blocks, whole, atol=1e-6)
    whole.sum().backward()
    assert coefficients.grad is not None
    assert LinearCombination()(prototypes, coefficients[:0], boxes[:0]).shape == (0, 20, 20)
    with torch.no_grad():
        assert LinearCombination()(prototypes, coefficients[:0], boxes[:0]).shape == (0, 20, 20)
