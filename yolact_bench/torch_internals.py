"""The one door to what PyTorch does not document: everything private of it that is used here.

Each function says why no documented way will do, and what happens in a version that has no such
name. `tests/yolact_bench/test_torch_internals.py` tests the shapes that are relied on. Everything
is looked up by name, so no type checker sees a private signature.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:

    class DispatchMode:
        """A context in which `__torch_dispatch__` is called in place of every operator."""

        def __enter__(self) -> "DispatchMode": ...
        def __exit__(self, *error: object) -> None: ...
        def __torch_dispatch__(
            self,
            func: Any,  # noqa: ANN401 - an operator
            types: object,
            args: tuple[Any, ...] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> object: ...

else:
    # The documentation names it, but the module is private.
    DispatchMode = importlib.import_module("torch.utils._python_dispatch").TorchDispatchMode


def operator_graph(
    function: Callable[..., object], examples: Sequence[Tensor], **options: object
) -> nn.Module:
    """Return what a function of tensors does to the examples, as a graph of operators.

    `torch.export` refuses modules whose Python code depends on their configuration.
    """
    proxy_tensor = importlib.import_module("torch.fx.experimental.proxy_tensor")
    graph: nn.Module = proxy_tensor.make_fx(function, **options)(*examples)
    return graph


def constant_weights() -> AbstractContextManager[object]:
    """Return a context in which the weights of a recorded graph are read as constants.

    The option "freezing" of `torch.compile` takes effect only after the graph was read.
    """
    config = importlib.import_module("torch._inductor.config")
    context: AbstractContextManager[object] = config.patch(freezing=True)
    return context


def shared_storage(num_bytes: int) -> torch.UntypedStorage:
    """Return uninitialised memory that other processes can map.

    `share_memory_` does the same, but first fills and copies ordinary memory.
    """
    kind: Any = torch.UntypedStorage
    create = getattr(kind, "_new_shared", None)
    storage: torch.UntypedStorage = create(num_bytes) if create else kind(num_bytes).share_memory_()
    return storage


def dots_of_bags(rows: Tensor, table: Tensor, index: Tensor, *, size: int) -> Tensor:
    """Return the dot product of row i // size with `table[index[i]]`, for all i.

    The gradient of `embedding_bag` in its weights; autograd would need the forward pass as well.
    """
    bag = torch.arange(len(rows), device=index.device, dtype=index.dtype)
    bag_of = bag.repeat_interleave(size)
    name = "_embedding_bag_per_sample_weights_backward"
    operator = getattr(torch.ops.aten, name, None)
    if operator is None:
        return (rows[bag_of] * table[index]).sum(-1)
    dots: Tensor = operator(rows, table, index, bag * size, bag_of, 0, -1)
    return dots


def addmm_relu() -> Any:  # noqa: ANN401 - an operator
    """Return the operator that is `addmm` and a ReLU, one call of cuBLASLt on a GPU, or None.

    Nothing documented fuses them. Where there is no such operator, the ReLU stays one of its own.
    """
    operator = getattr(torch.ops.aten, "_addmm_activation", None)
    return None if operator is None else operator.default


def cudnn_relu() -> tuple[Any, Any] | None:
    """Return the operators of cuDNN that are a convolution and a ReLU, and with a sum between.

    Nothing documented fuses them, and in a version without them they stay operators of their own.
    """
    names = ("cudnn_convolution_relu", "cudnn_convolution_add_relu")
    alone, with_sum = (getattr(torch.ops.aten, name, None) for name in names)
    return None if alone is None or with_sum is None else (alone.default, with_sum.default)


def add_to_all(tensors: Sequence[Tensor], number: int) -> None:
    """Add a number to every tensor, in place; on a device by one kernel.

    The documented way is a loop, with a kernel for each tensor.
    """
    together = getattr(torch, "_foreach_add_", None)
    if together is not None and tensors:
        together(tensors, number)
    elif together is None:
        for tensor in tensors:
            tensor.add_(number)
