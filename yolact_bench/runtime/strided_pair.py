"""Two 3×3 convolutions of stride 2 of an image with one channel, as one kernel."""

import logging
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.triton_kernel import kernels_fault, power_of_two

_PIXELS_BLOCK = 64  # room for 7 × 7
# Of both results of a program, which it keeps in registers: 14 channels at each of nine places.
_MOST_HIDDEN, _MOST_OUTPUTS = 128, 64

log = logging.getLogger(__name__)


def pair_fault(first: nn.Module, second: nn.Module) -> str:
    """Return why two layers with a ReLU behind each cannot be a `StridedPair`, or nothing."""
    for layer in (first, second):
        if not isinstance(layer, nn.Conv2d) or (
            (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
            != ((3, 3), (2, 2), (0, 0), (1, 1), 1)
            or layer.bias is None
        ):
            return f"{layer} is no 3×3 convolution of stride 2 without padding"
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    if first.in_channels != 1 or second.in_channels != first.out_channels:
        return f"{first} and {second} do not take one channel, one after the other"
    if 9 * first.out_channels > _MOST_HIDDEN or second.out_channels > _MOST_OUTPUTS:
        most = f"{_MOST_HIDDEN // 9} and {_MOST_OUTPUTS}"
        return f"their {first.out_channels} and {second.out_channels} channels are above {most}"
    return ""


class StridedPair(nn.Module):
    """Both convolutions and their ReLUs, from float32 images to the precision of the weights.

    Products are taken in that precision, so results are those of the layers but for rounding.
    Where the kernel cannot run, the layers do, and a note says so once.

    Source: the im2col form of a convolution (Chellapilla et al., 2006), of two at once.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        assert not pair_fault(first, second)
        self.plain = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        self.outputs = second.out_channels
        for name, matrix in _matrices(first, second).items():
            self.register_buffer(name, matrix, persistent=False)

    def forward(self, masks: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N O h w"]:
        """Return the maps, channels last in memory."""
        first, second = self.get_buffer("first"), self.get_buffer("second")
        if fault := kernels_fault(masks.device.type):
            note_layers(fault)
            out: Tensor = self.plain(masks.to(first.dtype, memory_format=torch.channels_last))
            return out
        # Triton, which CPU installations may lack, is imported by the first call.
        from yolact_bench.runtime.strided_kernel import strided_pair

        biases = self.get_buffer("first_bias"), self.get_buffer("second_bias")
        rows: Tensor = strided_pair(
            masks.float(), first, biases[0], second, biases[1], self.outputs
        )
        return rows.permute(0, 3, 1, 2)


@cache
def note_layers(fault: str) -> None:
    """Warn once that the first layers of mask re-scoring run one by one; results are the same."""
    log.warning("The first two layers of mask re-scoring run one by one, more slowly: %s", fault)


def _matrices(first: nn.Conv2d, second: nn.Conv2d) -> dict[str, Tensor]:
    """Return matrices and biases of both, with zeros up to powers of two.

    The first takes a patch of 7×7 to all its channels at each of 3×3 places, place before channel.
    """
    assert first.bias is not None
    assert second.bias is not None
    channels, outputs = first.out_channels, second.out_channels
    weight = first.weight.detach()[:, 0].permute(1, 2, 0)  # [3, 3, channels]
    spread = weight.new_zeros(7, 7, 9, channels)
    for place in range(9):
        y, x = 2 * (place // 3), 2 * (place % 3)
        spread[y : y + 3, x : x + 3, place] = weight
    gathered = second.weight.detach().permute(2, 3, 1, 0).reshape(9 * channels, outputs)
    hidden, wide = power_of_two(9 * channels), power_of_two(outputs)
    padding = (0, hidden - 9 * channels)
    return {
        "first": F.pad(spread.reshape(49, -1), (*padding, 0, _PIXELS_BLOCK - 49)),
        "first_bias": F.pad(first.bias.detach().repeat(9), padding),
        "second": F.pad(gathered, (0, wide - outputs, *padding)),
        "second_bias": F.pad(second.bias.detach(), (0, wide - outputs)),
    }
