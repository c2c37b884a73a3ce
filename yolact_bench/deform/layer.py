"""The deformable 3×3 layer, what an implementation of it computes, and torchvision's."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.slots import fact, with_facts

KERNEL_TAPS = 9


@runtime_checkable
class DeformImplementation(Protocol):
    """Compute a modulated deformable 3×3 convolution with padding 1 and one offset group.

    Facts: `fault`, from a kind of device to why it cannot be computed there, or nothing;
    `widens_halves`, whether halves are computed as float32, so that rounding weights loses.
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

    @property
    def widens_halves(self) -> bool:
        """Whether halves are computed as float32."""
        return bool(fact(self.implementation, "widens_halves"))

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O h w"]:
        """Return the convolution at the learnt places."""
        out = self.offset_mask(x)
        offset, modulation = out[:, : 2 * KERNEL_TAPS], out[:, 2 * KERNEL_TAPS :]
        return self.implementation(
            x, offset, torch.sigmoid(modulation), self.weight, self.bias, self.stride
        )
