"""What every implementation of a deformable layer must do."""

from dataclasses import dataclass
from unittest import SkipTest

import torch
from torch import Tensor, nn

from yolact_bench.catalog import components
from yolact_bench.deform.layer import DeformImplementation, torchvision_deform
from yolact_bench.slots import fact

# Float32 has 24 bits, 6e-8; sums of 9 × 18 products lose a few of them.
_ROUNDING = 2e-6


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
        """Return x, offset, modulation, weight and bias, in the order of the implementations."""
        generator = torch.Generator().manual_seed(0)
        h, w = ((side - 1) // self.stride + 1 for side in (self.height, self.width))
        tensors = [
            torch.randn(self.batch, self.channels, self.height, self.width, generator=generator),
            torch.randn(self.batch, 18, h, w, generator=generator) * self.offset_px,
            torch.rand(self.batch, 9, h, w, generator=generator),
            torch.randn(self.out_channels, self.channels, 3, 3, generator=generator),
            torch.randn(self.out_channels, generator=generator),
        ]
        return [tensor.to(device, dtype) for tensor in tensors]


CASES = {
    "odd sizes": Case(),
    "stride 2": Case(stride=2, height=9, width=10),
    # Taps of the border stand at -1 and H exactly: no value there, but a gradient at -1.
    "no offsets": Case(offset_px=0.0, batch=1),
    "one pixel": Case(height=1, width=1, offset_px=1.0),
    "more channels than a tile": Case(batch=1, channels=18, out_channels=17, height=6, width=5),
}


def deform_without_offsets_is_a_plain_convolution(slot: str, name: str) -> None:
    """Offsets 0 and modulation 1 leave weight, bias, stride and padding 1."""
    implementation, device = _on_device(slot, name)
    for stride in (1, 2):
        torch.manual_seed(0)
        plain = nn.Conv2d(5, 7, 3, stride=stride, padding=1, device=device)
        x = torch.randn(2, 5, 11, 8, device=device)
        wanted = plain(x)
        h, w = wanted.shape[-2:]
        assert plain.bias is not None
        offset, modulation = x.new_zeros(2, 18, h, w), x.new_ones(2, 9, h, w)
        out = implementation(x, offset, modulation, plain.weight, plain.bias, stride)
        assert torch.allclose(out, wanted, atol=1e-5)


def deform_reads_dy_dx_of_each_tap_in_turn(slot: str, name: str) -> None:
    """Moving the centre tap (number 4) one row down reads the pixel below."""
    implementation, device = _on_device(slot, name)
    x = torch.arange(25.0, device=device).reshape(1, 1, 5, 5)
    weight = x.new_zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1.0
    offset = x.new_zeros(1, 18, 5, 5)
    offset[:, 2 * 4] = 1.0  # dy of tap 4
    out = implementation(x, offset, x.new_ones(1, 9, 5, 5), weight, x.new_zeros(1), 1)
    assert torch.equal(out[0, 0, :4], x[0, 0, 1:])
    assert bool((out[0, 0, 4] == 0).all())  # below the last row lies nothing


def deform_has_values_and_gradients_of_torchvision(slot: str, name: str) -> None:
    """Up to rounding, and the same values without gradients."""
    implementation, device = _on_device(slot, name)
    for case in CASES.values():
        x, offset, modulation, weight, bias = tensors = case.tensors(device=device)
        wanted = value_and_gradients(torchvision_deform, tensors, case.stride)
        results = value_and_gradients(implementation, tensors, case.stride)
        assert [one.shape for one in results] == [one.shape for one in wanted]
        assert max(largest_faults(results, wanted)) < _ROUNDING
        with torch.inference_mode():
            again = implementation(x, offset, modulation, weight, bias, case.stride)
        assert max(largest_faults([again], wanted[:1])) < _ROUNDING


def deform_takes_any_memory_layout(slot: str, name: str) -> None:
    """Channels last, a batch cut from a larger one, offsets and modulation of one convolution."""
    implementation, device = _on_device(slot, name)
    x, offset, modulation, weight, bias = CASES["odd sizes"].tensors(device=device)
    wanted = torchvision_deform(x, offset, modulation, weight, bias, 1)
    both = torch.cat([offset, modulation], 1).contiguous(memory_format=torch.channels_last)
    cut = torch.cat([x, x, x])[2:4].contiguous(memory_format=torch.channels_last)
    last = weight.contiguous(memory_format=torch.channels_last)
    strided = torch.stack([x, x], -1)[..., 0]
    for other in (cut, strided):
        out = implementation(other, both[:, :18], both[:, 18:], last, bias, 1)
        assert max(largest_faults([out], [wanted])) < _ROUNDING


def value_and_gradients(
    implementation: DeformImplementation, tensors: list[Tensor], stride: int
) -> list[Tensor]:
    """Return the convolution, and its gradients against a fixed random one."""
    leaves = x, offset, modulation, weight, bias = [t.detach().requires_grad_() for t in tensors]
    out = implementation(x, offset, modulation, weight, bias, stride)
    seed = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return [out.detach(), *torch.autograd.grad(out, leaves, seed.to(out))]


def largest_faults(results: list[Tensor], wanted: list[Tensor]) -> list[float]:
    """Return per tensor the largest difference, as a fraction of the largest wanted value."""
    return [
        float((a.cpu().float() - b.cpu().float()).abs().max() / max(float(b.abs().max()), 1e-6))
        for a, b in zip(results, wanted, strict=True)
    ]


def _on_device(slot: str, name: str) -> tuple[DeformImplementation, str]:
    """Return the implementation and a kind of device here that computes it."""
    implementation: DeformImplementation = components(slot)[name]
    fault = fact(implementation, "fault")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        if fault is None or not fault(device):
            return implementation, device
    raise SkipTest(f"no device here computes {slot}: {name}")


CHECKS = (
    deform_without_offsets_is_a_plain_convolution,
    deform_reads_dy_dx_of_each_tap_in_turn,
    deform_has_values_and_gradients_of_torchvision,
    deform_takes_any_memory_layout,
)
