"""Assemblies: the arithmetic of a mask, the crop, and options."""

import pytest
import torch

from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.slots import pick

WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def test_options_bind_through_the_slot() -> None:
    choice = {"name": "linear_combination", "mask_threshold": 0.4}
    assert pick("assembly", ASSEMBLIES, choice)().mask_threshold == 0.4


def test_a_linear_combination_is_the_sigmoid_of_the_sum() -> None:
    """Coefficients (1, −2) on prototypes (3, 1): σ(3 − 2) = 1 / (1 + e⁻¹) = 0.7310586."""
    prototypes = torch.tensor([3.0, 1.0]).expand(2, 2, 2)
    masks = ASSEMBLIES["linear_combination"]()(prototypes, torch.tensor([[1.0, -2.0]]), WHOLE)
    assert masks.flatten().tolist() == pytest.approx([0.7310586] * 4)


def test_without_the_crop_a_mask_reaches_beyond_its_box() -> None:
    prototypes, box = torch.ones(8, 8, 1), torch.tensor([[0.5, 0.5, 0.75, 0.75]])
    cropped, free = (
        pick("assembly", ASSEMBLIES, {"name": "linear_combination", "crop": crop})()(
            prototypes, torch.tensor([[2.0]]), box
        )
        for crop in (True, False)
    )
    # The box covers cells 4 and 5; one cell wider on each side makes 3 to 6, 4 × 4 cells.
    assert int((cropped > 0.5).sum()) == 16
    assert int((free > 0.5).sum()) == 64
