"""Deformable layers to compare implementations on, and how far apart two results are."""

import os
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from yolact_bench.deform import DeformImplementation


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Sizes of a layer, and how far its offsets go in pixels."""

    batch: int = 2
    channels: int = 5
    out_channels: int = 7
    height: int = 11
    width: int = 8
    stride: int = 1
    offset_px: float = 3.0  # of the 11 and 8: many taps look at the border or beyond

    def tensors(
        self, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
    ) -> list[Tensor]:
        """x, offset, modulation, weight and bias, in the order of the implementations."""
        generator = torch.Generator().manual_seed(0)
        h, w = ((side - 1) // self.stride + 1 for side in (self.height, self.width))
        made = [
            torch.randn(self.batch, self.channels, self.height, self.width, generator=generator),
            torch.randn(self.batch, 18, h, w, generator=generator) * self.offset_px,
            torch.rand(self.batch, 9, h, w, generator=generator),
            torch.randn(self.out_channels, self.channels, 3, 3, generator=generator),
            torch.randn(self.out_channels, generator=generator),
        ]
        return [tensor.to(device, dtype) for tensor in made]


CASES = {
    "odd sizes": Case(),
    "stride 2": Case(stride=2, height=9, width=10),
    # Taps of the border stand at -1 and H exactly: no value there, but a gradient at -1.
    "no offsets": Case(offset_px=0.0, batch=1),
    "one pixel": Case(height=1, width=1, offset_px=1.0),
    "more channels than a tile": Case(batch=1, channels=18, out_channels=17, height=6, width=5),
}


def device_for(name: str) -> str:
    """Where an implementation can run here; skips the test where there is no such place."""
    if name != "triton" or os.environ.get("TRITON_INTERPRET") == "1":
        return "cpu"
    if not torch.cuda.is_available():
        pytest.skip("triton needs a CUDA device; on a CPU, test_deform_triton interprets it")
    return "cuda"


def value_and_gradients(
    implementation: DeformImplementation, tensors: list[Tensor], stride: int
) -> list[Tensor]:
    """The convolution, and its gradients against a fixed random one."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    out = implementation(*leaves, stride)
    seed = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return [out.detach(), *torch.autograd.grad(out, leaves, seed.to(out))]


def largest_faults(found: list[Tensor], wanted: list[Tensor]) -> list[float]:
    """Per tensor the largest difference, as a fraction of the largest wanted value."""
    return [
        float((a.cpu().float() - b.cpu().float()).abs().max() / max(float(b.abs().max()), 1e-6))
        for a, b in zip(found, wanted, strict=True)
    ]
