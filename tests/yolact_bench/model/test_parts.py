"""Ranges that the paper gives outputs of a network's parts."""

import pytest
import torch

from yolact_bench.model.head import HEADS
from yolact_bench.model.protonet import PROTONETS


@pytest.mark.parametrize("name", PROTONETS)
def test_prototypes_are_not_negative(name: str) -> None:
    assert bool((PROTONETS[name](16)(torch.randn(2, 16, 9, 9)) >= 0).all())


@pytest.mark.parametrize("name", HEADS)
def test_coefficients_lie_between_minus_one_and_one(name: str) -> None:
    _, _, coefficients = HEADS[name](16, 3, 5, 7)([torch.randn(2, 16, 4, 4)])
    assert bool((coefficients.abs() <= 1).all())
