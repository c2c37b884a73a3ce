"""What PyTorch does not document has the shape that is relied on, or the door does without."""

import importlib

import pytest
import torch
from torch import Tensor

from yolact_bench.torch_internals import (
    DispatchMode,
    add_to_all,
    addmm_relu,
    constant_weights,
    cudnn_relu,
    dots_of_bags,
    operator_graph,
    shared_storage,
)


class Names(DispatchMode):
    """Collects the names of the operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_a_dispatch_mode_sees_every_operator_by_its_name() -> None:
    with Names() as mode:
        torch.relu(torch.ones(2) + torch.ones(2))
    assert [name.partition(".")[0] for name in mode.names if "ones" not in name] == [
        "aten::add",
        "aten::relu",
    ]


def test_a_graph_computes_what_the_function_did_and_holds_operators_only() -> None:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(x * factor for factor in (2, 3))

    graph = operator_graph(function, [torch.ones(2)])
    assert [part.tolist() for part in graph(torch.tensor([1.0, 5.0]))] == [[2, 10], [3, 15]]
    assert "aten.mul" in str(graph.code)  # type: ignore[attr-defined]


def test_weights_are_constants_only_inside_the_context() -> None:
    config = importlib.import_module("torch._inductor.config")
    before = config.freezing
    with constant_weights():
        assert config.freezing is True
    assert config.freezing == before


@pytest.mark.parametrize("private", [True, False])
def test_shared_storage_is_shared(private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not private:
        monkeypatch.setattr(torch.UntypedStorage, "_new_shared", None, raising=False)
    storage = shared_storage(12)
    assert storage.nbytes() == 12
    assert storage.is_shared()


@pytest.mark.parametrize("private", [True, False])
def test_dots_of_bags(private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows (1, 2) and (3, 4), two entries each: 1 + 2, 10; 3 + 4, 3 × 0 + 4 × 5."""
    if not private:
        monkeypatch.setattr(torch.ops, "aten", object())
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    table = torch.tensor([[1.0, 1.0], [0.0, 5.0]])
    index = torch.tensor([0, 1, 0, 1])
    assert dots_of_bags(rows, table, index, size=2).tolist() == [3, 10, 7, 20]


@pytest.mark.parametrize("private", [True, False])
def test_addmm_relu_is_both(private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 × 3 + 2 × -4 + 1 = -4, which becomes 0, and 1 × 3 + 2 × 4 - 1 = 10."""
    if not private:
        monkeypatch.setattr(torch.ops, "aten", object())
        assert addmm_relu() is None
        return
    bias, row = torch.tensor([1.0, -1.0]), torch.tensor([[1.0, 2.0]])
    assert addmm_relu()(bias, row, torch.tensor([[3.0, 3.0], [-4.0, 4.0]])).tolist() == [[0, 10]]


@pytest.mark.parametrize("private", [True, False])
def test_cudnn_relu_is_without_and_with_a_sum(
    private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of arguments in which they are called; they run on a GPU alone."""
    if not private:
        monkeypatch.setattr(torch.ops, "aten", object())
        assert cudnn_relu() is None
        return
    operators = cudnn_relu()
    assert operators is not None
    names = [[a.name for a in operator._schema.arguments] for operator in operators]
    way = ["stride", "padding", "dilation", "groups"]
    assert names[0] == ["self", "weight", "bias", *way]
    assert names[1] == ["self", "weight", "z", "alpha", "bias", *way]


@pytest.mark.parametrize("private", [True, False])
def test_a_number_is_added_to_all_tensors(private: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not private:
        monkeypatch.delattr(torch, "_foreach_add_")
    counters = [torch.tensor(3), torch.tensor([5, 6])]
    add_to_all(counters, 2)
    add_to_all([], 2)
    assert [counter.tolist() for counter in counters] == [5, [7, 8]]
