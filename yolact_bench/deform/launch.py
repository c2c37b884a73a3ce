"""Launches of Triton kernels that the compiler of torch can see, and the interpreter can run."""

from typing import Any

import torch

from yolact_bench.triton_kernel import INTERPRETED


def wrap_triton(kernel: Any) -> Any:  # noqa: ANN401 - Triton has no type for kernels
    """Return a kernel as the compiler of torch launches it; the interpreter's it cannot launch.

    Under this name torch finds the kernels of an operator, whose source is in keys of its caches.
    """
    return kernel if INTERPRETED else torch.library.wrap_triton(kernel)


def programs(number: int, block: int) -> int:
    """Return how many programs with a block each do a number of things."""
    return -(-number // block)
