"""The Triton kernel that makes a network's input of photos whose sizes lie in device memory."""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton.language as tl

from yolact_bench.triton_kernel import kernel


@kernel
def _neighbours(place, cells, side: tl.constexpr):
    """Return both neighbouring pixels of output pixels, and the weight of the second."""
    scale = cells.to(tl.float32) / side
    at = tl.maximum(scale * (place.to(tl.float32) + 0.5) - 0.5, 0.0)
    first = tl.minimum(at.to(tl.int32), cells - 1)
    return first, tl.minimum(first + 1, cells - 1), at - first.to(tl.float32)


@kernel
def _row(block_ptr, start, y, left, right, weight, width, channel, real):
    """Return values between two neighbours of one row of a photo, [pixels, channels]."""
    at = block_ptr + start + y * width * 3 + channel[None, :]
    a = tl.load(at + left[:, None] * 3, mask=real, other=0).to(tl.float32)
    b = tl.load(at + right[:, None] * 3, mask=real, other=0).to(tl.float32)
    return a * (1.0 - weight)[:, None] + b * weight[:, None]


@kernel
def resize_normalise(
    block_ptr, header_ptr, mean_ptr, std_ptr, out_ptr,
    side: tl.constexpr, pixels_block: tl.constexpr,
):  # fmt: skip
    """Write photos as [B, side, side, 3], bilinear with half-pixel centres, then normalised.

    The block is bytes. Of each photo the header [B, 4] holds, as int32, the place of its first
    byte, its height and its width; its pixels are RGB, row by row. Mean and deviation are float32
    [3]. One program makes a part of one row; sums are float32.

    Source: torch's `interpolate`, bilinear without align_corners and without antialiasing.
    """
    y = tl.program_id(0)
    x = tl.program_id(1) * pixels_block + tl.arange(0, pixels_block)
    image = tl.program_id(2)
    channel = tl.arange(0, 4)
    real = (x < side)[:, None] & (channel < 3)[None, :]
    start = tl.load(header_ptr + image * 4)
    height = tl.load(header_ptr + image * 4 + 1)
    width = tl.load(header_ptr + image * 4 + 2)
    above, below, down = _neighbours(y, height, side)
    left, right, across = _neighbours(x, width, side)
    upper = _row(block_ptr, start, above, left, right, across, width, channel, real)
    lower = _row(block_ptr, start, below, left, right, across, width, channel, real)
    value = upper * (1.0 - down) + lower * down
    mean = tl.load(mean_ptr + channel, mask=channel < 3, other=0.0)
    std = tl.load(std_ptr + channel, mask=channel < 3, other=1.0)
    value = tl.div_rn(value - mean[None, :], tl.broadcast_to(std[None, :], value.shape))
    place = ((image.to(tl.int64) * side + y) * side + x) * 3
    at = out_ptr + place[:, None] + channel[None, :]
    tl.store(at, value.to(out_ptr.dtype.element_ty), mask=real)
