"""A ReLU behind a matrix product becomes part of it in a recorded graph."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from yolact_bench.runtime.rectified_products import rectify_products
from yolact_bench.torch_internals import operator_graph


def product(x: Tensor) -> Tensor:
    """Of 2 × 3 rows, as a channels-last image of four channels."""
    weight = torch.linspace(-1, 1, 20).view(4, 5)
    rows = torch.addmm(torch.linspace(-1, 1, 4), x, weight.t())
    return rows.view(1, 2, 3, 4).permute(0, 3, 1, 2)


def test_a_relu_of_a_product_is_applied_by_it() -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    for relu in (torch.relu, torch.relu_):
        recorded = operator_graph(partial(_twice, relu), [x])
        assert rectify_products(recorded) == 1
        assert not any("relu" in str(node.target) for node in recorded.graph.nodes)  # type: ignore[union-attr]
        assert torch.equal(recorded(x), product(x).relu() * 2)


def _twice(relu: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return relu(product(x)) * 2


def test_a_product_that_others_read_keeps_its_sign() -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))

    def both(x: Tensor) -> Tensor:
        made = product(x)
        return torch.relu(made) + made.view_as(made)

    recorded = operator_graph(both, [x])
    assert rectify_products(recorded) == 0
    assert torch.equal(recorded(x), both(x))


def test_a_relu_of_anything_else_stays() -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    recorded = operator_graph(lambda x: torch.relu(x * 2), [x])
    assert rectify_products(recorded) == 0
    assert torch.equal(recorded(x), torch.relu(x * 2))
