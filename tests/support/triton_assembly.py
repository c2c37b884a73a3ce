"""What Triton compiles for a GPU that is not here."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor


def assembly(
    kernel: object, types: Mapping[str, str], numbers: Mapping[str, Any], *, warps: int = 4
) -> str:
    """PTX of a kernel for compute capability 9.0; arguments without type or number are int32."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names: list[str] = kernel.arg_names  # type: ignore[attr-defined]
    signature = {name: "constexpr" if name in numbers else types.get(name, "i32") for name in names}
    constants = {(names.index(name),): value for name, value in numbers.items()}
    # As tensors are allocated.
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(names)
        if name.endswith("_ptr")
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
    return str(made.asm["ptx"])


def compiled_nodes(function: Callable[..., object], *examples: Tensor) -> list[str]:
    """Names of what torch.compile would hand to inductor for a function; nothing is run."""
    from functorch.compile import aot_function

    nodes: list[str] = []

    def read(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        nodes.extend(str(node.target) for node in graph.graph.nodes)
        raise InterruptedError  # there is nothing to run it on

    with pytest.raises(InterruptedError), torch.no_grad():
        aot_function(function, fw_compiler=read)(*examples)
    return nodes
