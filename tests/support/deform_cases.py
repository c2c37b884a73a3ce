"""Deformable layers to compare implementations on, and where an implementation can run here."""

import os
from collections.abc import Iterator

import jaxtyping
import pytest
import torch

from yolact_bench.contracts.deform import CASES, Case, largest_faults, value_and_gradients

__all__ = ["CASES", "Case", "device_for", "largest_faults", "value_and_gradients"]


def without_shape_checks() -> Iterator[None]:
    """For a fixture: checks of shapes, which only pytest switches on, stop the compiler."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def device_for(name: str) -> str:
    """Where an implementation can run here; skips the test where there is no such place."""
    if name != "triton" or os.environ.get("TRITON_INTERPRET") == "1":
        return "cpu"
    if not torch.cuda.is_available():
        pytest.skip("triton needs a CUDA device; on a CPU, test_deform_triton interprets it")
    return "cuda"
