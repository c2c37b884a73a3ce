"""Triton kernels of the deformable 3×3 convolution's backward pass, without atomics on data.

A sample is read from four corners; corner c of sample n has the number n × 4 + c, its key. Every
pixel has a list of the keys that read it, so its gradient is a sum that one program makes, in a
fixed order. For letters and layouts see `column_kernels`.
"""
# ruff: noqa: ANN001, ANN201 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from functools import partial

import triton.language as tl

from yolact_bench.deform.column_kernels import place
from yolact_bench.triton_kernel import kernel

_LAST = tl.constexpr(2**31 - 1)


@partial(kernel, free=("keys", "height", "width", "h", "w"))
def count_readers(
    places_ptr, pixel_ptr, count_ptr, slot_ptr, dot_ptr, keys, height, width, h, w,
    channels: tl.constexpr, stride: tl.constexpr, sigmoid: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Count the keys of every pixel, and give each key a slot in the list of its pixel.

    `count` (int32 [pixels + 1], zeros before) has the number of pixel p at p + 1. `slot` (int32,
    [keys]) is -1 for a corner outside the image, which is in no list, as are the corners of a
    place that is NaN. `dot` (float32, [keys]) becomes 0, for keys that no list will visit.
    """
    key = tl.program_id(0) * block + tl.arange(0, block)
    in_range = key < keys
    sample, corner = key // 4, key % 4
    _, y, x, _ = place(places_ptr, sample, in_range, height, width, h, w, channels, stride, sigmoid)
    number = in_range & (y <= height) & (x <= width)  # what is not a NaN
    top = tl.floor(tl.where(number, y, -2.0)).to(tl.int32) + corner // 2
    left = tl.floor(tl.where(number, x, -2.0)).to(tl.int32) + corner % 2
    inside = number & (top >= 0) & (top < height) & (left >= 0) & (left < width)
    pixel = tl.load(pixel_ptr + key, mask=inside, other=0)
    slot = tl.atomic_add(count_ptr + pixel + 1, 1, mask=inside, sem="relaxed")
    tl.store(slot_ptr + key, tl.where(inside, slot, -1), mask=in_range)
    tl.store(dot_ptr + key, tl.zeros((block,), dtype=tl.float32), mask=in_range)


@partial(kernel, free=("keys",))
def list_readers(pixel_ptr, slot_ptr, start_ptr, list_ptr, keys, block: tl.constexpr):
    """Write every key at its slot of its pixel's list; `start` is where lists begin."""
    key = tl.program_id(0) * block + tl.arange(0, block)
    slot = tl.load(slot_ptr + key, mask=key < keys, other=-1)
    pixel = tl.load(pixel_ptr + key, mask=slot >= 0, other=0)
    at = tl.load(start_ptr + pixel, mask=slot >= 0, other=0) + slot
    tl.store(list_ptr + at, key, mask=slot >= 0)


@kernel
def sort_readers(list_ptr, start_ptr, sorted_ptr, block: tl.constexpr):
    """Write the list of one pixel in ascending order: a key stands behind all that are smaller.

    Slots depend on the order in which programs ran, so without this the last bits of a sum would
    differ from call to call. A list has some 36 keys; the work grows with its square.
    """
    pixel = tl.program_id(0)
    first, end = tl.load(start_ptr + pixel), tl.load(start_ptr + pixel + 1)
    here = first
    while here < end:
        mine = here + tl.arange(0, block)
        key = tl.load(list_ptr + mine, mask=mine < end, other=0)
        rank = tl.zeros((block,), dtype=tl.int32)
        there = first
        while there < end:
            others = there + tl.arange(0, block)
            other = tl.load(list_ptr + others, mask=others < end, other=_LAST)
            rank += tl.sum((other[:, None] < key[None, :]).to(tl.int32), 0)
            there += block
        tl.store(sorted_ptr + first + rank, key, mask=mine < end)
        here += block


@kernel
def add_readers(
    of_columns_ptr, x_ptr, sorted_ptr, start_ptr, weight_ptr, of_x_ptr, dot_ptr,
    channels: tl.constexpr, channels_block: tl.constexpr, keys_block: tl.constexpr,
):  # fmt: skip
    """Write the gradient of one pixel, and the dot products of it with its readers' gradients.

    The gradient is the weighted sum of the columns' gradients over the pixel's list, in float32.
    `dot` (float32, [keys]) is what `move_places` makes gradients of places from; both come from
    one pass over the columns' gradients. Meant for one warp, which needs no barrier in its loop.
    """
    pixel = tl.program_id(0)
    channel = tl.arange(0, channels_block)
    real = channel < channels
    at = pixel.to(tl.int64) * channels + channel
    own = tl.load(x_ptr + at, mask=real, other=0.0).to(tl.float32)
    total = tl.zeros((keys_block, channels_block), dtype=tl.float32)
    here, end = tl.load(start_ptr + pixel), tl.load(start_ptr + pixel + 1)
    while here < end:
        member = here + tl.arange(0, keys_block)
        listed = member < end
        key = tl.load(sorted_ptr + member, mask=listed, other=0)
        weight = tl.load(weight_ptr + key, mask=listed, other=0.0)
        column = of_columns_ptr + ((key // 4).to(tl.int64) * channels)[:, None]
        mask = listed[:, None] & real[None, :]
        grad = tl.load(column + channel[None, :], mask=mask, other=0.0).to(tl.float32)
        total += grad * weight[:, None]
        tl.store(dot_ptr + key, tl.sum(grad * own[None, :], 1), mask=listed)
        here += keys_block
    tl.store(of_x_ptr + at, tl.sum(total, 0).to(of_x_ptr.dtype.element_ty), mask=real)


@partial(kernel, free=("samples", "height", "width", "h", "w"))
def move_places(
    places_ptr, dot_ptr, of_places_ptr, samples, height, width, h, w,
    channels: tl.constexpr, stride: tl.constexpr, sigmoid: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write the gradient of the map, [B, h, w, channels], but for channels that are not read.

    Bilinear sampling is piecewise linear: at a whole pixel the gradient of a place is that of the
    pixels below and to the right, as in torchvision. Corners outside have a dot product of 0.
    """
    sample = tl.program_id(0) * block + tl.arange(0, block)
    in_range = sample < samples
    _, y, x, count = place(
        places_ptr, sample, in_range, height, width, h, w, channels, stride, sigmoid
    )
    down, right = y - tl.floor(y), x - tl.floor(x)
    dot_ptr += sample * 4
    above_left = tl.load(dot_ptr, mask=in_range, other=0.0)
    above_right = tl.load(dot_ptr + 1, mask=in_range, other=0.0)
    below_left = tl.load(dot_ptr + 2, mask=in_range, other=0.0)
    below_right = tl.load(dot_ptr + 3, mask=in_range, other=0.0)
    above = above_left * (1 - right) + above_right * right
    below = below_left * (1 - right) + below_right * right
    across = (above_right - above_left) * (1 - down) + (below_right - below_left) * down
    of_count = above * (1 - down) + below * down
    if sigmoid:
        of_count *= count * (1 - count)
    kind = of_places_ptr.dtype.element_ty
    tap = sample % 9
    at = of_places_ptr + (sample // 9).to(tl.int64) * channels
    tl.store(at + 2 * tap, ((below - above) * count).to(kind), mask=in_range)
    tl.store(at + 2 * tap + 1, (across * count).to(kind), mask=in_range)
    tl.store(at + 18 + tap, of_count.to(kind), mask=in_range)
