"""Coefficients of the mask that prototypes express best."""

import numpy as np
import pytest
import torch
from torch import Tensor

from runners.arms.oracles.projection import fitted_coefficients
from tests.runners.arms.oracles.test_oracles import L_SHAPE, SIDE, A, filled


def fit(prototypes: Tensor, mask: np.ndarray, cells: np.ndarray) -> Tensor:
    as_flags = [torch.from_numpy(one).bool()[None] for one in (mask, cells)]
    coefficients = fitted_coefficients(prototypes, *as_flags)
    return (prototypes @ coefficients[0])[torch.from_numpy(cells).bool()]


def test_the_fit_is_that_of_least_squares_on_the_cells_of_the_crop_alone() -> None:
    random = torch.Generator().manual_seed(0)
    prototypes = torch.rand(SIDE, SIDE, 5, generator=random)
    cells = filled((1, 1, 11, 11))
    got = fit(prototypes, L_SHAPE, cells)

    rows = prototypes[torch.from_numpy(cells).bool()].double()
    aim = torch.from_numpy(np.where(L_SHAPE, 2.0, -2.0)[cells.astype(bool)])
    expected = rows @ torch.linalg.lstsq(rows, aim[:, None]).solution[:, 0]
    assert torch.allclose(got.double(), expected, atol=1e-3)


def test_prototypes_that_repeat_each_other_are_no_trouble() -> None:
    one = torch.from_numpy(filled(A)).float()
    prototypes = torch.stack([one, one, torch.ones_like(one), torch.zeros_like(one)], -1)
    got = fit(prototypes, filled(A), filled((1, 1, 11, 11)))
    assert ((got > 0) == torch.from_numpy(filled(A)[1:11, 1:11].reshape(-1)).bool()).all()
    assert got.abs().tolist() == pytest.approx([2.0] * 100, abs=1e-3)
