"""The deformable convolution's Triton kernels as operators that torch can trace and capture.

Autograd, torch.compile and CUDA graphs see four opaque operators with declared shapes. The tile of
the forward kernel is chosen by timing at the first call of a shape, so warm up before a capture.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from yolact_bench.deform.triton_kernels import (
    BLOCKS,
    add_to_pixels,
    gather_columns,
    move_places,
    tuned_convolve,
)

_TAPS = 9
_Inputs: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, int]


@torch.library.custom_op("yolact_bench::deformable_convolution", mutates_args=())
def deformable_convolution(
    x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Tensor:
    """Return the convolution, [B, O, h, w] as channels-last."""
    x = x.contiguous(memory_format=torch.channels_last)
    weight = weight.contiguous(memory_format=torch.channels_last)
    out_channels = weight.shape[0]
    out: Tensor = _no_result(x, offset, modulation, weight, bias, stride)
    rows = out.shape[0] * out.shape[2] * out.shape[3]

    def grid(tile: Mapping[str, Any]) -> tuple[int, int]:
        return -(-rows // tile["rows_block"]), -(-out_channels // tile["out_block"])

    tuned_convolve[grid](
        *(x, offset, modulation, weight, bias, out),
        *(*_sizes(x, offset, stride), out_channels),
        *(*offset.stride(), *modulation.stride(), *weight.stride()),
        precision="tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee",
    )
    return out


@torch.library.custom_op("yolact_bench::deformable_columns", mutates_args=())
def deformable_columns(x: Tensor, offset: Tensor, modulation: Tensor, stride: int) -> Tensor:
    """Return what the taps see, [P, 9 × I]."""
    x = x.contiguous(memory_format=torch.channels_last)
    columns: Tensor = _no_columns(x, offset, modulation, stride)
    gather_columns[_grid(offset)](
        *(x, offset, modulation, columns, *_sizes(x, offset, stride)),
        *(*offset.stride(), *modulation.stride()),
        **BLOCKS,
    )
    return columns


@torch.library.custom_op("yolact_bench::deformable_of_pixels", mutates_args=())
def deformable_of_pixels(
    of_columns: Tensor, x: Tensor, offset: Tensor, modulation: Tensor, stride: int
) -> Tensor:
    """Return the gradient of x, float32 and channels-last, from that of the columns.

    Atomic additions make its last bits differ from call to call.
    """
    of_x = torch.zeros_like(x, dtype=torch.float32, memory_format=torch.channels_last)
    add_to_pixels[_grid(offset)](
        *(of_columns, offset, modulation, of_x, *_sizes(x, offset, stride)),
        *(*offset.stride(), *modulation.stride()),
        **BLOCKS,
    )
    return of_x


@torch.library.custom_op("yolact_bench::deformable_of_places", mutates_args=())
def deformable_of_places(
    of_columns: Tensor, x: Tensor, offset: Tensor, modulation: Tensor, stride: int
) -> Tensor:
    """Return the gradients of y, x and modulation of the places, float32 [P, 9, 3]."""
    x = x.contiguous(memory_format=torch.channels_last)
    of_places: Tensor = _no_places(of_columns, x, offset, modulation, stride)
    move_places[_grid(offset)](
        *(x, of_columns, offset, modulation, of_places, *_sizes(x, offset, stride)),
        *(*offset.stride(), *modulation.stride()),
        **BLOCKS,
    )
    return of_places


def _sizes(x: Tensor, offset: Tensor, stride: int) -> tuple[int, ...]:
    """Return rows, height, width, h, w, stride and channels, as the kernels take them."""
    batch, channels, height, width = x.shape
    h, w = offset.shape[2:]
    return batch * h * w, height, width, h, w, stride, channels


def _grid(offset: Tensor) -> tuple[int, int]:
    rows = offset.shape[0] * offset.shape[2] * offset.shape[3]
    return -(-rows // BLOCKS["rows_block"]), _TAPS


@deformable_convolution.register_fake
def _no_result(
    x: Tensor, offset: Tensor, modulation: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Tensor:
    made = x.new_empty(x.shape[0], *offset.shape[2:], weight.shape[0])
    return made.permute(0, 3, 1, 2)


@deformable_columns.register_fake
def _no_columns(x: Tensor, offset: Tensor, modulation: Tensor, stride: int) -> Tensor:
    rows = x.shape[0] * offset.shape[2] * offset.shape[3]
    return x.new_empty(rows, _TAPS * x.shape[1])


@deformable_of_pixels.register_fake
def _no_pixels(
    of_columns: Tensor, x: Tensor, offset: Tensor, modulation: Tensor, stride: int
) -> Tensor:
    return torch.empty_like(x, dtype=torch.float32, memory_format=torch.channels_last)


@deformable_of_places.register_fake
def _no_places(
    of_columns: Tensor, x: Tensor, offset: Tensor, modulation: Tensor, stride: int
) -> Tensor:
    rows = x.shape[0] * offset.shape[2] * offset.shape[3]
    return x.new_empty(rows, _TAPS, 3, dtype=torch.float32)


def _keep(ctx: FunctionCtx, inputs: _Inputs, output: Tensor) -> None:
    x, offset, modulation, weight, _, stride = inputs
    ctx.save_for_backward(x, offset, modulation, weight)
    ctx.stride = stride  # type: ignore[attr-defined]


def _backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, offset, modulation, weight = ctx.saved_tensors  # type: ignore[attr-defined]
    needed: tuple[bool, ...] = ctx.needs_input_grad  # type: ignore[attr-defined]
    sampling = (x, offset, modulation, ctx.stride)  # type: ignore[attr-defined]
    matrix = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)  # [O, 9 × I]
    out = grad.permute(0, 2, 3, 1).reshape(-1, weight.shape[0])  # [P, O]
    of_x = of_offset = of_modulation = of_weight = None
    if any(needed[:3]):
        of_columns = out @ matrix
        if needed[0]:
            of_x = deformable_of_pixels(of_columns, *sampling).to(x.dtype)
        if needed[1] or needed[2]:
            of_places = deformable_of_places(of_columns, *sampling)
            of_offset, of_modulation = _as_maps(of_places, offset, modulation)
    if needed[3]:
        of_weight = (out.t() @ deformable_columns(*sampling)).view(-1, 3, 3, x.shape[1])
        of_weight = of_weight.permute(0, 3, 1, 2)
    of_bias = out.sum(0) if needed[4] else None
    return of_x, of_offset, of_modulation, of_weight, of_bias, None


def _as_maps(of_places: Tensor, offset: Tensor, modulation: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of offset [B, 18, h, w] and modulation [B, 9, h, w]."""
    batch, _, h, w = offset.shape
    maps = of_places.view(batch, h, w, _TAPS, 3).permute(0, 3, 4, 1, 2)  # [B, 9, 3, h, w]
    return (
        maps[:, :, :2].reshape(offset.shape).to(offset.dtype),
        maps[:, :, 2].to(modulation.dtype),
    )


deformable_convolution.register_autograd(_backward, setup_context=_keep)
