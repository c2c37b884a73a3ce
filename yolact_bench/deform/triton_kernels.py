"""Triton kernels of the deformable 3×3 convolution, forward and backward.

Images are [B, H, W, C] with channels adjacent; every other tensor is read through its strides.
A row is one output pixel, counted over the batch. With TRITON_INTERPRET=1 in the environment
before this is imported, the kernels run on the CPU, slowly.
"""
# ruff: noqa: ANN001, ANN201, ANN202, ANN401 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import inspect
import os
from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# The interpreter multiplies the bits of bfloat16 numbers as if they were integers.
_UNPACK = tl.constexpr(INTERPRETED)


def _kernel(function: Callable[..., Any]) -> Any:
    """Return the kernel of a function's source, without what pytest may have wrapped around it."""
    return triton.jit(inspect.unwrap(function))


@_kernel
def _place(
    offset_ptr, modulation_ptr, row, in_range, tap, size, stride, offset_steps, modulation_steps
):
    """Return image, upper left corner, fractions, modulation, and whether a move changes anything.

    A place beyond the border of zeros is drawn back to it; a NaN stays one.
    """
    height, width, h, w = size
    image, out_y, out_x = row // (h * w), row // w % h, row % w
    ob, oc, oy, ox = offset_steps
    at = offset_ptr + image.to(tl.int64) * ob + out_y * oy + out_x * ox + 2 * tap * oc
    y = tl.load(at, mask=in_range, other=0.0).to(tl.float32)
    x = tl.load(at + oc, mask=in_range, other=0.0).to(tl.float32)
    mb, mc, my, mx = modulation_steps
    at = modulation_ptr + image.to(tl.int64) * mb + out_y * my + out_x * mx + tap * mc
    count = tl.load(at, mask=in_range, other=0.0).to(tl.float32)
    y += (out_y * stride - 1 + tap // 3).to(tl.float32)
    x += (out_x * stride - 1 + tap % 3).to(tl.float32)
    moves = (y >= -1) & (y < height) & (x >= -1) & (x < width)
    y = tl.where(y < -1, -1.0, tl.where(y > height, height * 1.0, y))
    x = tl.where(x < -1, -1.0, tl.where(x > width, width * 1.0, x))
    top, left = tl.floor(y), tl.floor(x)
    return image, top.to(tl.int32), left.to(tl.int32), y - top, x - left, count, moves


@_kernel
def _corner(image, y, x, in_range, height, width, channels):
    """Return the number of a pixel's first value, and whether the pixel lies in the image."""
    inside = in_range & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    pixel = (image * height + y) * width + x
    return (pixel.to(tl.int64) * channels)[:, None], inside[:, None]


@_kernel
def _corners(image, top, left, in_range, size, channels):
    """Return the four corners of places: above left, above right, below left, below right."""
    height, width, _, _ = size
    at_00, in_00 = _corner(image, top, left, in_range, height, width, channels)
    at_01, in_01 = _corner(image, top, left + 1, in_range, height, width, channels)
    at_10, in_10 = _corner(image, top + 1, left, in_range, height, width, channels)
    at_11, in_11 = _corner(image, top + 1, left + 1, in_range, height, width, channels)
    return (at_00, at_01, at_10, at_11), (in_00, in_01, in_10, in_11)


@_kernel
def _values(x_ptr, corners, inside, channel, real):
    """Return the values of four corners as float32, zeros outside the image."""
    at_00, at_01, at_10, at_11 = corners
    in_00, in_01, in_10, in_11 = inside
    x_ptr += channel[None, :]
    real = real[None, :]
    v_00 = tl.load(x_ptr + at_00, mask=in_00 & real, other=0.0).to(tl.float32)
    v_01 = tl.load(x_ptr + at_01, mask=in_01 & real, other=0.0).to(tl.float32)
    v_10 = tl.load(x_ptr + at_10, mask=in_10 & real, other=0.0).to(tl.float32)
    v_11 = tl.load(x_ptr + at_11, mask=in_11 & real, other=0.0).to(tl.float32)
    return v_00, v_01, v_10, v_11


@_kernel
def _weighted(values, down, right):
    """Return the bilinear value between four corners."""
    v_00, v_01, v_10, v_11 = values
    above = v_00 * (1 - right) + v_01 * right
    below = v_10 * (1 - right) + v_11 * right
    return above * (1 - down) + below * down


@_kernel
def convolve(
    x_ptr, offset_ptr, modulation_ptr, weight_ptr, bias_ptr, out_ptr,
    rows, height, width, h, w, stride, channels: tl.constexpr, out_channels,
    ob, oc, oy, ox, mb, mc, my, mx, wo, wi, wy, wx,
    precision: tl.constexpr,
    rows_block: tl.constexpr, out_block: tl.constexpr, channels_block: tl.constexpr,
):  # fmt: skip
    """Write the convolution, [B, h, w, O]: samples go from registers into the matrix product."""
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    out_channel = tl.program_id(1) * out_block + tl.arange(0, out_block)
    in_range, written = row < rows, out_channel < out_channels
    size = (height, width, h, w)
    total = tl.zeros((rows_block, out_block), dtype=tl.float32)
    for tap in range(9):
        image, top, left, down, right, count, _ = _place(
            offset_ptr, modulation_ptr, row, in_range, tap, size, stride,
            (ob, oc, oy, ox), (mb, mc, my, mx),
        )  # fmt: skip
        corners, inside = _corners(image, top, left, in_range, size, channels)
        for first in range(0, channels, channels_block):
            channel = first + tl.arange(0, channels_block)
            real = channel < channels
            values = _values(x_ptr, corners, inside, channel, real)
            sampled = _weighted(values, down[:, None], right[:, None]) * count[:, None]
            at = weight_ptr + (tap // 3) * wy + (tap % 3) * wx
            at += out_channel[None, :] * wo + channel[:, None] * wi
            mixed = tl.load(at, mask=real[:, None] & written[None, :], other=0.0)
            sampled = sampled.to(mixed.dtype)
            if _UNPACK:
                sampled, mixed = sampled.to(tl.float32), mixed.to(tl.float32)
            total = tl.dot(sampled, mixed, total, input_precision=precision)
    total += tl.load(bias_ptr + out_channel, mask=written, other=0.0).to(tl.float32)[None, :]
    at = out_ptr + row.to(tl.int64)[:, None] * out_channels + out_channel[None, :]
    tl.store(at, total.to(out_ptr.dtype.element_ty), mask=in_range[:, None] & written[None, :])


@_kernel
def gather_columns(
    x_ptr, offset_ptr, modulation_ptr, columns_ptr,
    rows, height, width, h, w, stride, channels: tl.constexpr,
    ob, oc, oy, ox, mb, mc, my, mx,
    rows_block: tl.constexpr, channels_block: tl.constexpr,
):  # fmt: skip
    """Write the samples as columns, [row, tap, C]."""
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    tap = tl.program_id(1)
    in_range = row < rows
    size = (height, width, h, w)
    image, top, left, down, right, count, _ = _place(
        offset_ptr, modulation_ptr, row, in_range, tap, size, stride,
        (ob, oc, oy, ox), (mb, mc, my, mx),
    )  # fmt: skip
    corners, inside = _corners(image, top, left, in_range, size, channels)
    column = (columns_ptr + (row.to(tl.int64) * 9 + tap) * channels)[:, None]
    for first in range(0, channels, channels_block):
        channel = first + tl.arange(0, channels_block)
        real = channel < channels
        values = _values(x_ptr, corners, inside, channel, real)
        sampled = _weighted(values, down[:, None], right[:, None]) * count[:, None]
        mask = in_range[:, None] & real[None, :]
        tl.store(column + channel[None, :], sampled.to(columns_ptr.dtype.element_ty), mask=mask)


@_kernel
def add_to_pixels(
    of_columns_ptr, offset_ptr, modulation_ptr, of_x_ptr,
    rows, height, width, h, w, stride, channels: tl.constexpr,
    ob, oc, oy, ox, mb, mc, my, mx,
    rows_block: tl.constexpr, channels_block: tl.constexpr,
):  # fmt: skip
    """Add the gradients of columns to those of the pixels they were read from, in float32."""
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    tap = tl.program_id(1)
    in_range = row < rows
    size = (height, width, h, w)
    image, top, left, down, right, count, _ = _place(
        offset_ptr, modulation_ptr, row, in_range, tap, size, stride,
        (ob, oc, oy, ox), (mb, mc, my, mx),
    )  # fmt: skip
    corners, inside = _corners(image, top, left, in_range, size, channels)
    at_00, at_01, at_10, at_11 = corners
    in_00, in_01, in_10, in_11 = inside
    down, right, count = down[:, None], right[:, None], count[:, None]
    column = (of_columns_ptr + (row.to(tl.int64) * 9 + tap) * channels)[:, None]
    for first in range(0, channels, channels_block):
        channel = first + tl.arange(0, channels_block)[None, :]
        real = channel < channels
        grad = tl.load(column + channel, mask=in_range[:, None] & real, other=0.0).to(tl.float32)
        above, below = grad * count * (1 - down), grad * count * down
        to = of_x_ptr + channel
        tl.atomic_add(to + at_00, above * (1 - right), mask=in_00 & real, sem="relaxed")
        tl.atomic_add(to + at_01, above * right, mask=in_01 & real, sem="relaxed")
        tl.atomic_add(to + at_10, below * (1 - right), mask=in_10 & real, sem="relaxed")
        tl.atomic_add(to + at_11, below * right, mask=in_11 & real, sem="relaxed")


@_kernel
def move_places(
    x_ptr, of_columns_ptr, offset_ptr, modulation_ptr, of_places_ptr,
    rows, height, width, h, w, stride, channels: tl.constexpr,
    ob, oc, oy, ox, mb, mc, my, mx,
    rows_block: tl.constexpr, channels_block: tl.constexpr,
):  # fmt: skip
    """Write the gradients of places, [row, tap, 3]: y, x and modulation."""
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    tap = tl.program_id(1)
    in_range = row < rows
    size = (height, width, h, w)
    image, top, left, down, right, count, moves = _place(
        offset_ptr, modulation_ptr, row, in_range, tap, size, stride,
        (ob, oc, oy, ox), (mb, mc, my, mx),
    )  # fmt: skip
    corners, inside = _corners(image, top, left, in_range, size, channels)
    column = (of_columns_ptr + (row.to(tl.int64) * 9 + tap) * channels)[:, None]
    of_y = tl.zeros((rows_block,), dtype=tl.float32)
    of_x = tl.zeros((rows_block,), dtype=tl.float32)
    of_count = tl.zeros((rows_block,), dtype=tl.float32)
    for first in range(0, channels, channels_block):
        channel = first + tl.arange(0, channels_block)
        real = channel < channels
        mask = in_range[:, None] & real[None, :]
        grad = tl.load(column + channel[None, :], mask=mask, other=0.0).to(tl.float32)
        v_00, v_01, v_10, v_11 = _values(x_ptr, corners, inside, channel, real)
        above = v_00 * (1 - right[:, None]) + v_01 * right[:, None]
        below = v_10 * (1 - right[:, None]) + v_11 * right[:, None]
        across = (v_01 - v_00) * (1 - down[:, None]) + (v_11 - v_10) * down[:, None]
        of_y += tl.sum(grad * (below - above), 1)
        of_x += tl.sum(grad * across, 1)
        of_count += tl.sum(grad * (above + (below - above) * down[:, None]), 1)
    counts = tl.where(moves, count, 0.0)
    at = of_places_ptr + (row.to(tl.int64) * 9 + tap) * 3
    tl.store(at, of_y * counts, mask=in_range)
    tl.store(at + 1, of_x * counts, mask=in_range)
    tl.store(at + 2, of_count, mask=in_range)


# Of the kernels on the way back.
BLOCKS = {"rows_block": 128 if INTERPRETED else 32, "channels_block": 16 if INTERPRETED else 64}


def _tile(rows: int, out: int, channels: int, warps: int) -> triton.Config:
    sizes = {"rows_block": rows, "out_block": out, "channels_block": channels}
    return triton.Config(sizes, num_warps=warps, num_stages=3)


TILES = (
    _tile(64, 64, 32, 4),
    _tile(32, 64, 64, 4),
    _tile(32, 128, 64, 4),
    _tile(64, 128, 32, 4),
    _tile(64, 128, 64, 8),
    _tile(128, 128, 32, 8),
)
# The interpreter has no clock to choose a tile by, and takes its time for every program.
tuned_convolve = triton.autotune(
    [_tile(128, 16, 16, 4)] if INTERPRETED else list(TILES),
    key=["rows", "channels", "out_channels", "precision"],
)(convolve)
