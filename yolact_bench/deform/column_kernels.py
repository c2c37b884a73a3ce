"""Triton kernels of the deformable 3×3 convolution's forward pass.

A row is one output pixel, counted over the batch; a sample is a row and one of its nine taps,
number row × 9 + tap. Images are rows of pixels, [B × H × W, I], with channels adjacent. With
TRITON_INTERPRET=1 in the environment before this is imported, the kernels run on the CPU, slowly.
"""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from functools import partial

import triton.language as tl

from yolact_bench.triton_kernel import INTERPRETED, kernel

# The interpreter multiplies the bits of bfloat16 numbers as if they were integers.
_UNPACK = tl.constexpr(INTERPRETED)


@kernel
def place(
    places_ptr, sample, in_range, height, width, h, w, channels,
    stride: tl.constexpr, sigmoid: tl.constexpr,
):  # fmt: skip
    """Return where samples look: image, y, x and how much they count, from rows of the map.

    y and x are drawn back to what lies just beyond the image, so that they have an integer; a NaN
    stays one.
    """
    row, tap = sample // 9, sample % 9
    at = places_ptr + row.to(tl.int64) * channels
    y = tl.load(at + 2 * tap, mask=in_range, other=0.0).to(tl.float32)
    x = tl.load(at + 2 * tap + 1, mask=in_range, other=0.0).to(tl.float32)
    count = tl.load(at + 18 + tap, mask=in_range, other=0.0).to(tl.float32)
    if sigmoid:
        count = 1.0 / (1.0 + tl.exp(-count))
    y += (row // w % h * stride - 1 + tap // 3).to(tl.float32)
    x += (row % w * stride - 1 + tap % 3).to(tl.float32)
    y = tl.where(y < -2.0, -2.0, tl.where(y > height, height * 1.0, y))
    x = tl.where(x < -2.0, -2.0, tl.where(x > width, width * 1.0, x))
    return row // (h * w), y, x, count


@kernel
def _corner(
    pixel_ptr, weight_ptr, at, in_range, image, y, x, height, width, weight, broken
):  # fmt: skip
    """Write one corner of places: the pixel, drawn into the image, and its weight, 0 outside."""
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y = tl.minimum(tl.maximum(y, 0), height - 1)
    x = tl.minimum(tl.maximum(x, 0), width - 1)
    tl.store(pixel_ptr + at, (image * height + y) * width + x, mask=in_range)
    tl.store(weight_ptr + at, tl.where(inside | broken, weight, 0.0), mask=in_range)


@partial(kernel, free=("samples", "height", "width", "h", "w"))
def find_places(
    places_ptr, pixel_ptr, weight_ptr, samples, height, width, h, w,
    channels: tl.constexpr, stride: tl.constexpr, sigmoid: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write four pixels (int32) and weights (float32) for each sample, both [samples, 4].

    `places` is [B, h, w, channels]: 18 offsets (dy, dx per tap, in pixels), 9 modulations or,
    with `sigmoid`, what becomes one by it, and channels that are not read. Weights are bilinear ×
    modulation, 0 for a corner outside the image, and NaN for all corners of a place that is NaN.

    Source: Deformable ConvNets v2 (arXiv:1811.11168), equation 1 with bilinear sampling.
    Differs: a corner outside is a pixel inside with weight 0, so no later load needs a mask; that
    equals a zero outside where pixels are finite.
    """
    sample = tl.program_id(0) * block + tl.arange(0, block)
    in_range = sample < samples
    image, y, x, count = place(
        places_ptr, sample, in_range, height, width, h, w, channels, stride, sigmoid
    )
    top, left = tl.floor(y), tl.floor(x)
    down, right = y - top, x - left
    top, left = top.to(tl.int32), left.to(tl.int32)
    broken = ~((y <= height) & (x <= width) & (count * 0 == 0))  # what is not a number
    # A NaN has no integer, and what it is converted to differs between devices.
    top, left = tl.where(broken, 0, top), tl.where(broken, 0, left)
    above, below = (1 - down) * count, down * count
    at = sample * 4
    _corner(
        pixel_ptr, weight_ptr, at, in_range, image, top, left, height, width,
        above * (1 - right), broken,
    )  # fmt: skip
    _corner(
        pixel_ptr, weight_ptr, at + 1, in_range, image, top, left + 1, height, width,
        above * right, broken,
    )  # fmt: skip
    _corner(
        pixel_ptr, weight_ptr, at + 2, in_range, image, top + 1, left, height, width,
        below * (1 - right), broken,
    )  # fmt: skip
    _corner(
        pixel_ptr, weight_ptr, at + 3, in_range, image, top + 1, left + 1, height, width,
        below * right, broken,
    )  # fmt: skip


@kernel
def _sample(x_ptr, pixel_ptr, weight_ptr, sample, in_range, channel, channels: tl.constexpr):
    """Return what samples see in some channels, float32 [samples, channels].

    Pixels lie in the image whatever the offsets are, so only channels can be out of range.
    """
    total = tl.zeros((sample.shape[0], channel.shape[0]), dtype=tl.float32)
    real = (channel < channels)[None, :]
    for corner in tl.static_range(4):
        pixel = tl.load(pixel_ptr + sample * 4 + corner, mask=in_range, other=0)
        weight = tl.load(weight_ptr + sample * 4 + corner, mask=in_range, other=0.0)
        at = x_ptr + (pixel.to(tl.int64) * channels)[:, None] + channel[None, :]
        total += tl.load(at, mask=real, other=0.0).to(tl.float32) * weight[:, None]
    return total


@partial(kernel, free=("samples",))
def gather_columns(
    x_ptr, pixel_ptr, weight_ptr, columns_ptr, samples, channels: tl.constexpr,
    samples_block: tl.constexpr, channels_block: tl.constexpr,
):  # fmt: skip
    """Write the samples as columns, [samples, I], which is [rows, 9 × I].

    Source: the columns of torchvision's `deform_conv2d`.
    Differs: tap before channel, so that a sample is written as it was read, adjacent.
    """
    sample = tl.program_id(0) * samples_block + tl.arange(0, samples_block)
    channel = tl.program_id(1) * channels_block + tl.arange(0, channels_block)
    in_range = sample < samples
    value = _sample(x_ptr, pixel_ptr, weight_ptr, sample, in_range, channel, channels)
    at = columns_ptr + (sample.to(tl.int64) * channels)[:, None] + channel[None, :]
    mask = in_range[:, None] & (channel < channels)[None, :]
    tl.store(at, value.to(columns_ptr.dtype.element_ty), mask=mask)


@partial(kernel, free=("rows",))
def convolve(
    x_ptr, pixel_ptr, weight_ptr, matrix_ptr, bias_ptr, out_ptr, rows,
    channels: tl.constexpr, out_channels: tl.constexpr,
    precision: tl.constexpr, rectify: tl.constexpr,
    rows_block: tl.constexpr, out_block: tl.constexpr, channels_block: tl.constexpr,
):  # fmt: skip
    """Write the convolution, [rows, O]: samples go from registers into the matrix product.

    `matrix` is [O, 9 × I] with tap before channel; with `rectify`, a ReLU follows.

    Source: implicit matrix multiplication (arXiv:1410.0759, section 3) on sampled columns.
    Differs: the kernel is ours.
    """
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    out_channel = tl.program_id(1) * out_block + tl.arange(0, out_block)
    in_range, written = row < rows, out_channel < out_channels
    total = tl.zeros((rows_block, out_block), dtype=tl.float32)
    column = matrix_ptr + (out_channel.to(tl.int64) * (9 * channels))[None, :]
    for tap in range(9):
        for first in range(0, channels, channels_block):
            channel = first + tl.arange(0, channels_block)
            mask = (channel < channels)[:, None] & written[None, :]
            mixed = tl.load(column + (tap * channels + channel)[:, None], mask=mask, other=0.0)
            value = _sample(
                x_ptr, pixel_ptr, weight_ptr, row * 9 + tap, in_range, channel, channels
            )
            value = value.to(mixed.dtype)
            if _UNPACK:
                value, mixed = value.to(tl.float32), mixed.to(tl.float32)
            total = tl.dot(value, mixed, total, input_precision=precision)
    total += tl.load(bias_ptr + out_channel, mask=written, other=0.0).to(tl.float32)[None, :]
    if rectify:
        total = tl.where(total < 0, 0.0, total)  # of a NaN: NaN
    at = out_ptr + (row.to(tl.int64) * out_channels)[:, None] + out_channel[None, :]
    tl.store(at, total.to(out_ptr.dtype.element_ty), mask=in_range[:, None] & written[None, :])
