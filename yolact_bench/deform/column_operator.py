"""The kernels of the deformable convolution as operators that torch can trace and capture.

Eagerly and in CUDA graphs they launch Triton's kernels; `torch.compile` sees through them and
launches the same kernels itself. Nothing is tuned at a first call and nothing waits for the device.
"""

import torch
from torch import Tensor
from torch.library import triton_op

from yolact_bench.deform.column_gradient import keep_for_gradient, scatter_gradient
from yolact_bench.deform.column_kernels import convolve, find_places, gather_columns
from yolact_bench.deform.layer import KERNEL_TAPS
from yolact_bench.triton_kernel import INTERPRETED, power_of_two, programs, wrap_triton

_PLACES_BLOCK = 128
_SAMPLES_VALUES = 2048  # that a program of the gathering kernel writes: 16 for each thread


@triton_op("yolact_bench::deformable_gather", mutates_args=())
def deformable_gather(
    x: Tensor, places: Tensor, stride: int, sigmoid: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return columns [P, 9 × I] in the precision of x, pixels and weights, both [9 × P, 4].

    P counts output pixels over the batch. Arguments are as `find_places` describes.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    pixels, weights = _find(places, x.shape, stride, sigmoid)
    channels, samples = x.shape[1], pixels.shape[0]
    columns = x.new_empty(samples // KERNEL_TAPS, KERNEL_TAPS * channels)
    blocks = column_blocks(channels)
    grid = (
        programs(samples, blocks["samples_block"]),
        programs(channels, blocks["channels_block"]),
    )
    wrap_triton(gather_columns)[grid](
        x, pixels, weights, columns, samples, channels=channels, **blocks, num_warps=4
    )
    return columns, pixels, weights


@triton_op("yolact_bench::deformable_product", mutates_args=())
def deformable_product(
    x: Tensor,
    places: Tensor,
    matrix: Tensor,
    bias: Tensor,
    stride: int,
    sigmoid: bool,
    blocks: list[int],
    warps: int,
    *,
    rectify: bool = False,
) -> Tensor:
    """Return the convolution [P, O] by the fused kernel, whose blocks are rows, outputs, channels.

    `matrix` is the weight as [O, 9 × I], tap before channel; with `rectify`, a ReLU follows.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    matrix, bias = matrix.contiguous(), bias.contiguous()
    pixels, weights = _find(places, x.shape, stride, sigmoid)
    rows, out_channels = pixels.shape[0] // KERNEL_TAPS, matrix.shape[0]
    out = x.new_empty(rows, out_channels)
    rows_block, out_block, channels_block = blocks
    grid = (programs(rows, rows_block), programs(out_channels, out_block))
    wrap_triton(convolve)[grid](
        *(x, pixels, weights, matrix, bias, out, rows),
        channels=x.shape[1],
        out_channels=out_channels,
        precision="tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee",
        rectify=rectify,
        rows_block=rows_block,
        out_block=out_block,
        channels_block=channels_block,
        num_warps=warps,
        num_stages=1,  # of the loop: corners are then read through the first-level cache
    )
    return out


def _find(places: Tensor, shape: torch.Size, stride: int, sigmoid: bool) -> tuple[Tensor, Tensor]:
    """Return pixels, int32, and weights, float32, of the corners of all samples, both [n, 4]."""
    places = places.contiguous(memory_format=torch.channels_last)
    batch, channels, h, w = places.shape
    samples = batch * h * w * KERNEL_TAPS
    pixels = places.new_empty(samples, 4, dtype=torch.int32)
    weights = places.new_empty(samples, 4, dtype=torch.float32)
    wrap_triton(find_places)[(programs(samples, _PLACES_BLOCK),)](
        *(places, pixels, weights, samples, shape[2], shape[3], h, w),
        channels=channels,
        stride=stride,
        sigmoid=sigmoid,
        block=_PLACES_BLOCK,
        num_warps=4,
    )
    return pixels, weights


def column_blocks(channels: int) -> dict[str, int]:
    """Return the tile of the gathering kernel: whole samples, up to 512 channels of them.

    The interpreter takes its time for every program, so it gets few large ones.
    """
    if INTERPRETED:
        return {"samples_block": 128, "channels_block": 16}
    wide = min(power_of_two(channels), 512)
    return {"samples_block": max(_SAMPLES_VALUES // wide, 1), "channels_block": wide}


deformable_gather.register_autograd(scatter_gradient, setup_context=keep_for_gradient)
