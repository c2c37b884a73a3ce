"""What every assembly must do."""

import pytest
import torch

from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.slots import pick

EVERY = pytest.mark.parametrize("name", sorted(ASSEMBLIES))
WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


@EVERY
@pytest.mark.parametrize("count", [0, 1, 4])
def test_there_is_one_soft_mask_for_each_detection(name: str, count: int) -> None:
    masks = ASSEMBLIES[name]()(torch.rand(6, 7, 3), torch.randn(count, 3), WHOLE.expand(count, 4))
    assert masks.shape == (count, 6, 7)
    assert ((masks >= 0) & (masks <= 1)).all()


@EVERY
def test_each_mask_depends_on_its_own_coefficients_only(name: str) -> None:
    prototypes, coefficients = torch.rand(6, 7, 3), torch.randn(2, 3)
    assemble = ASSEMBLIES[name]()
    both = assemble(prototypes, coefficients, WHOLE.expand(2, 4))
    second = assemble(prototypes, coefficients[1:], WHOLE)
    assert torch.allclose(both[1], second[0], atol=1e-6)


@EVERY
def test_gradients_reach_prototypes_and_coefficients(name: str) -> None:
    prototypes = torch.rand(6, 7, 3, requires_grad=True)
    coefficients = torch.randn(2, 3, requires_grad=True)
    ASSEMBLIES[name]()(prototypes, coefficients, WHOLE.expand(2, 4)).sum().backward()
    for leaf in (prototypes, coefficients):
        assert leaf.grad is not None
        assert leaf.grad.abs().sum() > 0


@EVERY
def test_options_bind_through_the_slot(name: str) -> None:
    choice = {"name": name, "mask_threshold": 0.4}
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
