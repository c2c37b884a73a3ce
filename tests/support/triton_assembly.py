"""What Triton compiles for a GPU that is not here."""

from collections.abc import Mapping
from typing import Any


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
