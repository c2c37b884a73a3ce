"""The backward pass of gathering as one operator; the rest of a layer's is a matrix product's."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.library import triton_op

from yolact_bench.deform.gradient_kernels import (
    add_readers,
    count_readers,
    list_readers,
    move_places,
    sort_readers,
)
from yolact_bench.triton_kernel import INTERPRETED, power_of_two, programs, wrap_triton

_BLOCK = 128
_LIST_BLOCK = 64  # a list has four keys for each of nine taps where places are spread evenly
_VALUES = 1024  # of columns' gradients that a warp holds: 32 for each thread


@triton_op("yolact_bench::deformable_scatter", mutates_args=())
def deformable_scatter(
    of_columns: Tensor,
    x: Tensor,
    places: Tensor,
    pixels: Tensor,
    weights: Tensor,
    stride: int,
    sigmoid: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and of the map, channels-last, from that of the columns.

    The same bits at every call. `pixels` and `weights` are what gathering returned.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    places = places.contiguous(memory_format=torch.channels_last)
    of_columns = of_columns.contiguous()
    batch, channels, height, width = x.shape
    sizes = (height, width, *places.shape[2:])
    numbers = {"channels": places.shape[1], "stride": stride, "sigmoid": sigmoid, "block": _BLOCK}
    keys, num_pixels = pixels.numel(), batch * height * width
    counts = pixels.new_zeros(num_pixels + 1)
    slots, lists, in_order = (pixels.new_empty(keys) for _ in range(3))
    dots = weights.new_empty(keys)
    wrap_triton(count_readers)[(programs(keys, _BLOCK),)](
        places, pixels, counts, slots, dots, keys, *sizes, **numbers, num_warps=4
    )
    starts = counts.cumsum(0, dtype=torch.int32)
    wrap_triton(list_readers)[(programs(keys, _BLOCK),)](
        pixels, slots, starts, lists, keys, block=_BLOCK, num_warps=4
    )
    wrap_triton(sort_readers)[(num_pixels,)](
        lists, starts, in_order, block=_LIST_BLOCK, num_warps=1
    )
    of_x = torch.empty_like(x)
    wide = power_of_two(channels)
    wrap_triton(add_readers)[(num_pixels,)](
        *(of_columns, x, in_order, starts, weights, of_x, dots),
        channels=channels,
        channels_block=wide,
        keys_block=_LIST_BLOCK if INTERPRETED else max(_VALUES // wide, 1),
        num_warps=1,
    )
    of_places = torch.zeros_like(places)
    samples = keys // 4
    wrap_triton(move_places)[(programs(samples, _BLOCK),)](
        places, dots, of_places, samples, *sizes, **numbers, num_warps=4
    )
    return of_x, of_places


def keep_for_gradient(
    ctx: FunctionCtx,
    inputs: tuple[Tensor, Tensor, int, bool],
    output: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Keep what `scatter_gradient` takes; columns are kept by the product that reads them."""
    x, places, *options = inputs
    ctx.save_for_backward(x, places, *output[1:])
    ctx.set_materialize_grads(False)
    ctx.options = options  # type: ignore[attr-defined]


def scatter_gradient(
    ctx: FunctionCtx, of_columns: Tensor, *_: None
) -> tuple[Tensor, Tensor, None, None]:
    """Return the gradients of gathering, of x and the map."""
    x, places, pixels, weights = ctx.saved_tensors  # type: ignore[attr-defined]
    options = ctx.options  # type: ignore[attr-defined]
    of_x, of_places = deformable_scatter(of_columns, x, places, pixels, weights, *options)
    return of_x, of_places, None, None
