"""A function's source as a Triton kernel, its launch, and why none can run here.

With TRITON_INTERPRET=1 in the environment before Triton is imported, kernels run on the CPU,
slowly. Modules of kernels import Triton, which CPU installations may lack; so they are imported
by the first call that needs them.
"""

import importlib
import importlib.util
import inspect
import os
from collections.abc import Callable, Collection
from typing import Any

import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# Launches with it round products and sums one by one, as the host does; a fused multiply-add
# would round otherwise.
UNFUSED = {"enable_fp_fusion": False}


def kernel(function: Callable[..., Any], *, free: Collection[str] = ()) -> Any:  # noqa: ANN401 - Triton's class has no types
    """Return the kernel of a function's source, without what pytest may have wrapped around it.

    A whole number among its parameters is compiled for anew when it becomes 1, or a multiple of
    16, or ceases to be: those in `free` are not.
    """
    plain = inspect.unwrap(function)
    numbers = [name for name in inspect.signature(plain).parameters if name in free]
    return importlib.import_module("triton").jit(plain, do_not_specialize=numbers)


def wrap_triton(kernel: Any) -> Any:  # noqa: ANN401 - Triton's class has no types
    """Return a kernel as the compiler of torch launches it; the interpreter's it cannot launch.

    Under this name torch finds the kernels of an operator, whose source is in keys of its caches.
    """
    return kernel if INTERPRETED else torch.library.wrap_triton(kernel)


def programs(number: int, block: int) -> int:
    """Return how many programs with a block each do a number of things."""
    return -(-number // block)


def power_of_two(size: int, *, least: int = 16) -> int:
    """Return the least power of two of at least `size` and `least`, as a kernel's block needs."""
    return max(least, 1 << (size - 1).bit_length())


def kernels_fault(device_type: str) -> str:
    """Return why kernels cannot run on a kind of device, or nothing; interpreted they run on any.

    On "meta" nothing runs, and all fits together as on a GPU.
    """
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if INTERPRETED or device_type in {"cuda", "meta"}:
        return ""
    return f"its kernels need a CUDA device, not {device_type}"
