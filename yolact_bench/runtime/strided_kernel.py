"""Two 3×3 convolutions of stride 2 of one channel as one Triton kernel, and as an operator.

An output of the second sees 7×7 pixels, four further on than its neighbour. So the first is one
matrix product of these patches, with all it gives at the nine places the second looks at, and the
second is another. With TRITON_INTERPRET=1 before this is imported, it runs on the CPU, slowly.
"""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton.language as tl
from torch import Tensor
from torch.library import triton_op

from yolact_bench.triton_kernel import INTERPRETED, kernel, programs, wrap_triton

# Not measured: 1,700 programs for 100 masks of 138 × 138. The interpreter gets few.
_ROWS_BLOCK = 4096 if INTERPRETED else 64

_SIDE, _STEP = tl.constexpr(7), tl.constexpr(4)  # of patches, and from one to the next, in pixels
_ALL = tl.constexpr(tl.PropagateNan.ALL)
# The interpreter multiplies the bits of bfloat16 numbers as if they were integers.
_UNPACK = tl.constexpr(INTERPRETED)


@kernel
def _product(a, b, precision: tl.constexpr):
    if _UNPACK:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, input_precision=precision)


@kernel
def convolve_twice(
    masks_ptr, first_ptr, first_bias_ptr, second_ptr, second_bias_ptr, out_ptr,
    rows, height, width, out_height, out_width,
    outputs: tl.constexpr, precision: tl.constexpr,
    rows_block: tl.constexpr, pixels_block: tl.constexpr,
    hidden_block: tl.constexpr, outputs_block: tl.constexpr,
):  # fmt: skip
    """Write the outputs [N, h, w, O] of masks [N, H, W], a ReLU behind each convolution.

    Matrices [pixels, hidden] and [hidden, outputs] and their biases fill their blocks with zeros;
    they have the precision of what is written, in which products are taken, to sums in float32.
    """
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    real = row < rows
    y, x = row // out_width % out_height, row % out_width
    image = (row // (out_height * out_width)).to(tl.int64)
    pixel = tl.arange(0, pixels_block)
    start = image * height * width + y * _STEP * width + x * _STEP
    at = masks_ptr + start[:, None] + (pixel // _SIDE * width + pixel % _SIDE)[None, :]
    seen = real[:, None] & (pixel < _SIDE * _SIDE)[None, :]
    dtype = out_ptr.dtype.element_ty
    patch = tl.load(at, mask=seen, other=0.0).to(dtype)

    hidden, output = tl.arange(0, hidden_block), tl.arange(0, outputs_block)
    first = tl.load(first_ptr + pixel[:, None] * hidden_block + hidden[None, :])
    between = _product(patch, first, precision)
    between += tl.load(first_bias_ptr + hidden).to(tl.float32)[None, :]
    between = tl.maximum(between, 0.0, propagate_nan=_ALL).to(dtype)
    second = tl.load(second_ptr + hidden[:, None] * outputs_block + output[None, :])
    out = _product(between, second, precision)
    out += tl.load(second_bias_ptr + output).to(tl.float32)[None, :]
    out = tl.maximum(out, 0.0, propagate_nan=_ALL).to(dtype)
    at = out_ptr + row.to(tl.int64)[:, None] * outputs + output[None, :]
    tl.store(at, out, mask=real[:, None] & (output < outputs)[None, :])


@triton_op("yolact_bench::strided_pair", mutates_args=())
def strided_pair(
    masks: Tensor,
    first: Tensor,
    first_bias: Tensor,
    second: Tensor,
    second_bias: Tensor,
    outputs: int,
) -> Tensor:
    """Return [N, h, w, O] of masks [N, 1, H, W], with matrices as `StridedPair` makes them."""
    masks = masks.contiguous()
    images, _, height, width = masks.shape
    h, w = (((side - 3) // 2 + 1 - 3) // 2 + 1 for side in (height, width))
    out = first.new_empty(images, h, w, outputs)
    rows = images * h * w
    wrap_triton(convolve_twice)[(programs(rows, _ROWS_BLOCK),)](
        *(masks, first, first_bias, second, second_bias, out),
        *(rows, height, width, h, w),
        outputs=outputs,
        # As the layers, which cuDNN computes.
        precision="tf32" if torch.backends.cudnn.allow_tf32 else "ieee",
        rows_block=_ROWS_BLOCK,
        pixels_block=first.shape[0],
        hidden_block=second.shape[0],
        outputs_block=second.shape[1],
        num_warps=4,
    )
    return out
