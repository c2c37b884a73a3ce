"""The deformable 3×3 layer, what an implementation of it computes, and torchvision's."""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.slots import fact, with_facts

KERNEL_TAPS = 9
# Of the map of offsets and modulations where an implementation reads that: 27 outputs would be
# padded by the libraries to a multiple of 8 at every call, in kernels of their own.
MAP_CHANNELS = 32


@runtime_checkable
class DeformImplementation(Protocol):
    """Compute a modulated deformable 3×3 convolution with padding 1 and one offset group.

    Facts: `fault`, from a kind of device to why it cannot be computed there, or nothing;
    `widens_halves`, whether halves are computed as float32, so that rounding weights loses;
    `convolve_map`, a form that takes a map of `MAP_CHANNELS` in place of offset and modulation:
    18 offsets, 9 modulations before their sigmoid, and zeros.
    """

    def __call__(
        self,
        x: Float[Tensor, "B I H W"],
        offset: Float[Tensor, "B 18 h w"],
        modulation: Float[Tensor, "B 9 h w"],
        weight: Float[Tensor, "O I 3 3"],
        bias: Float[Tensor, " O"],
        stride: int,
    ) -> Float[Tensor, "B O h w"]:
        """Return the convolution; offsets are interleaved (dy, dx) per tap, row by row."""


def autocast_precision(device: str) -> torch.dtype | None:
    """Return the precision of autocast on a kind of device, or None where it is off.

    The compiler of torch 2.11 cannot trace `torch.amp.is_autocast_available`; of the devices in
    use, meta alone has no autocast.
    """
    if device == "meta" or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


@with_facts(widens_halves=True)
def torchvision_deform(
    x: Float[Tensor, "B I H W"],
    offset: Float[Tensor, "B 18 h w"],
    modulation: Float[Tensor, "B 9 h w"],
    weight: Float[Tensor, "O I 3 3"],
    bias: Float[Tensor, " O"],
    stride: int,
) -> Float[Tensor, "B O h w"]:
    """Return torchvision's `deform_conv2d`, in float32 where it is given halves.

    So autocast calls it on a GPU; on a CPU it has no kernel for halves, and autocast no rule.
    Sampling is bilinear with zeros outside; a tap counts while -1 < y < H and -1 < x < W.

    Source: Deformable ConvNets v2 (arXiv:1811.11168); torchvision.ops.deform_conv2d, which has the
    layout and borders of the reference's CUDA extension.
    Differs: halves are computed in float32.
    """
    from torchvision.ops import deform_conv2d

    dtype = torch.promote_types(x.dtype, torch.float32)
    out: Tensor = deform_conv2d(
        x.to(dtype),
        offset.to(dtype),
        weight.to(dtype),
        bias.to(dtype),
        stride=(stride, stride),
        padding=(1, 1),
        mask=modulation.to(dtype),
    )
    return out.to(x.dtype)


class DeformableConv2d(nn.Module):
    """A 3×3 convolution that learns where each of its nine taps looks, and how much it counts.

    A plain 3×3 convolution on the same input gives 27 channels: 18 offsets and 9 modulations
    (through a sigmoid). It starts at zero, so a fresh layer outputs half of the plain one.

    Source: Deformable ConvNets v2 (arXiv:1811.11168); dbolya/yolact@902073d, external DCNv2.
    """

    def __init__(self, plain: nn.Conv2d, implementation: DeformImplementation) -> None:
        super().__init__()
        self.stride = plain.stride[0]
        self.implementation = implementation
        self.weight = plain.weight
        self.bias = nn.Parameter(plain.weight.new_zeros(plain.out_channels))
        self.offset_mask = nn.Conv2d(
            plain.in_channels, 3 * KERNEL_TAPS, 3, stride=self.stride, padding=1
        )
        nn.init.zeros_(self.offset_mask.weight)
        nn.init.zeros_(self.offset_mask.bias)  # type: ignore[arg-type]

    def pad_map(self) -> None:
        """Give the convolution of offsets `MAP_CHANNELS` outputs where they are read, in a copy.

        Its state dict then has other shapes, so this is for a copy that is not stored.
        """
        if fact(self.implementation, "convolve_map") is None:
            return
        weight, bias = _pad(self.offset_mask)
        padded = nn.Conv2d(weight.shape[1], MAP_CHANNELS, 3, self.stride, padding=1, device="meta")
        padded.weight = nn.Parameter(weight.detach(), requires_grad=False)
        padded.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.offset_mask = padded

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O h w"]:
        """Return the convolution at the learnt places."""
        convolve_map = fact(self.implementation, "convolve_map")
        if convolve_map is not None:
            places = F.conv2d(x, *_pad(self.offset_mask), self.stride, padding=1)
            out: Tensor = convolve_map(x, places, self.weight, self.bias, self.stride)
            return out
        places = self.offset_mask(x)
        offset, modulation = places[:, : 2 * KERNEL_TAPS], places[:, 2 * KERNEL_TAPS :]
        return self.implementation(
            x, offset, torch.sigmoid(modulation), self.weight, self.bias, self.stride
        )


def _pad(plain: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution, with outputs that are 0 up to `MAP_CHANNELS`."""
    assert plain.bias is not None
    missing = MAP_CHANNELS - plain.weight.shape[0]
    if not missing:
        return plain.weight, plain.bias
    return F.pad(plain.weight, (*(0,) * 7, missing)), F.pad(plain.bias, (0, missing))
