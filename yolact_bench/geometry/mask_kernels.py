"""Triton kernels from soft masks to masks at image size, and to the toggles of their run lengths.

What `masks` and `run_lengths` do with arrays on the host, in the same order of float32 operations:
products and sums must not be fused, so launch with `enable_fp_fusion=False`. Soft masks are
float32 [N, h, w], adjacent in memory; toggles are int32 pixel numbers, counted down the columns
of the image.

Source: `image_masks.py` and `mask_changes.py` of this package; count, prefix sum and writing as
for any result of unknown length.
Differs: run lengths have the same bytes. Full masks may differ where all four neighbours of a
pixel are at or below the threshold and their mean rounds above it: they are False here.

One file: all kernels share where a pixel lies between cells, to the last bit.
"""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from functools import partial

import triton.language as tl

from yolact_bench.triton_kernel import INTERPRETED, kernel

# Image columns of one mask that a program looks at: neighbours read the same cells. The interpreter
# takes its time for every program.
COLUMNS_BLOCK = 64 if INTERPRETED else 4
# Pixels of a full mask that a program writes: rows by columns.
PIXELS_BLOCK = (64, 128) if INTERPRETED else (8, 128)
ROWS_BLOCK = 16  # of cells, of which the occupied ones are looked for together
# Each would be a reason to compile anew: images come in hundreds of sizes.
_kernel = partial(kernel, free=("height", "width", "capacity", "count"))


@_kernel
def _place(pixel, scale):
    """Return the place of a pixel's centre in cells, in torch's own order of operations."""
    place = scale * (pixel.to(tl.float32) + 0.5) - 0.5
    return tl.maximum(place, 0.0)


@_kernel
def _cell(pixel, scale, cells):
    """Return the cell before a pixel: this one and the next are its neighbours."""
    return tl.minimum(_place(pixel, scale).to(tl.int32), cells - 1)


@_kernel
def _weight(pixel, cell, scale):
    """Return the weight of the cell after a pixel."""
    return tl.minimum(tl.maximum(_place(pixel, scale) - cell.to(tl.float32), 0.0), 1.0)


@_kernel
def _first_pixel(cell, scale, cells, pixels):
    """Return the first pixel at or behind a cell: `pixels` at or behind the last cell's end.

    The inverse of `_cell` is right to a hundredth of a pixel; what counts is `_cell` itself, which
    is looked at from a pixel before to a pixel after.
    """
    guess = ((cell.to(tl.float32) + 0.5) / scale - 0.5).to(tl.int32) - 1
    first = tl.minimum(tl.maximum(guess, 0), pixels)
    before = (_cell(first, scale, cells) < cell).to(tl.int32)
    before += (_cell(first + 1, scale, cells) < cell).to(tl.int32)
    before += (_cell(first + 2, scale, cells) < cell).to(tl.int32)
    first = tl.where(cell <= 0, 0, first + before)
    return tl.minimum(tl.where(cell >= cells, pixels, first), pixels)


@_kernel
def find_bounds(
    soft_ptr, bounds_ptr, width, across, threshold,
    h: tl.constexpr, w: tl.constexpr, rows_block: tl.constexpr, cells_block: tl.constexpr,
):  # fmt: skip
    """Write the part of each mask that can be set, [N, 4]: rows of cells, columns of the image.

    It reaches one cell beyond the cells above the threshold; of an empty mask all four are 0. One
    program a mask.
    """
    owner = tl.program_id(0)
    cell_x = tl.arange(0, cells_block)
    soft_ptr += owner.to(tl.int64) * (h * w)
    top = tl.full((), h, tl.int32)
    left = tl.full((), w, tl.int32)
    bottom = tl.full((), -1, tl.int32)
    right = tl.full((), -1, tl.int32)
    for start in range(0, h, rows_block):
        cell_y = start + tl.arange(0, rows_block)
        real = (cell_y < h)[:, None] & (cell_x < w)[None, :]
        at = soft_ptr + cell_y[:, None] * w + cell_x[None, :]
        above = (tl.load(at, mask=real, other=0.0) > threshold) & real
        rows = tl.max(above.to(tl.int32), 1) > 0
        columns = tl.max(above.to(tl.int32), 0) > 0
        top = tl.minimum(top, tl.min(tl.where(rows, cell_y, h), 0))
        bottom = tl.maximum(bottom, tl.max(tl.where(rows, cell_y, -1), 0))
        left = tl.minimum(left, tl.min(tl.where(columns, cell_x, w), 0))
        right = tl.maximum(right, tl.max(tl.where(columns, cell_x, -1), 0))
    occupied = bottom >= 0
    begin = _first_pixel(tl.maximum(left - 1, 0), across, w, width)
    end = _first_pixel(tl.minimum(right + 2, w), across, w, width)
    bounds_ptr += owner * 4
    tl.store(bounds_ptr, tl.where(occupied, tl.maximum(top - 1, 0), 0))
    tl.store(bounds_ptr + 1, tl.where(occupied, tl.minimum(bottom + 2, h), 0))
    tl.store(bounds_ptr + 2, tl.where(occupied, begin, 0))
    tl.store(bounds_ptr + 3, tl.where(occupied, end, 0))


@_kernel
def _cells_above(
    soft_ptr, top, bottom, column, real, across, threshold,
    w: tl.constexpr, gaps_block: tl.constexpr,
):  # fmt: skip
    """Return, for each gap between cells down image columns, the value above and the one below.

    Gap g lies before cell top + g. Beyond either end of a column there is the threshold itself,
    which is not above it: what is set at the border changes there.
    """
    gap = tl.arange(0, gaps_block)[:, None]
    cell_x = _cell(column, across, w)
    weight = _weight(column, cell_x, across)[None, :]
    rest = 1.0 - weight
    cell_x = cell_x[None, :]
    after = tl.minimum(cell_x + 1, w - 1)
    rows = bottom - top
    at = soft_ptr + (top - 1 + gap) * w
    read = (gap > 0) & (gap <= rows) & real[None, :]
    upper = tl.load(at + cell_x, mask=read, other=0.0) * rest
    upper += tl.load(at + after, mask=read, other=0.0) * weight
    upper = tl.where(read, upper, threshold)
    at += w
    read = (gap < rows) & real[None, :]
    lower = tl.load(at + cell_x, mask=read, other=0.0) * rest
    lower += tl.load(at + after, mask=read, other=0.0) * weight
    lower = tl.where(read, lower, threshold)
    changes = (upper > threshold) != (lower > threshold)
    return upper, lower, changes


@_kernel
def count_toggles(
    soft_ptr, bounds_ptr, counts_ptr, width, across, threshold,
    h: tl.constexpr, w: tl.constexpr, gaps_block: tl.constexpr, columns_block: tl.constexpr,
):  # fmt: skip
    """Write how often each mask changes down each column of the image, [N, width].

    One program for some columns of a mask; outside the mask's bounds it writes zeros.
    """
    owner = tl.program_id(0)
    column = tl.program_id(1) * columns_block + tl.arange(0, columns_block)
    top, bottom = tl.load(bounds_ptr + owner * 4), tl.load(bounds_ptr + owner * 4 + 1)
    begin, end = tl.load(bounds_ptr + owner * 4 + 2), tl.load(bounds_ptr + owner * 4 + 3)
    real = (column >= begin) & (column < end)
    changed = tl.zeros((columns_block,), tl.int32)
    if (tl.program_id(1) * columns_block < end) & ((tl.program_id(1) + 1) * columns_block > begin):
        soft_ptr += owner.to(tl.int64) * (h * w)
        _, _, changes = _cells_above(
            soft_ptr, top, bottom, column, real, across, threshold, w, gaps_block
        )
        changed = tl.sum(changes.to(tl.int32), 0)
    tl.store(counts_ptr + owner * width + column, changed, mask=column < width)


@_kernel
def write_toggles(
    soft_ptr, bounds_ptr, ends_ptr, out_ptr,
    count, capacity, height, width, across, down, threshold,
    h: tl.constexpr, w: tl.constexpr, gaps_block: tl.constexpr, columns_block: tl.constexpr,
    most_pixels: tl.constexpr,
):  # fmt: skip
    """Write how many toggles there are up to the end of each mask [N], then the toggles in order.

    `ends` [N, width] says how many there are up to the end of each column of all masks. Toggles
    beyond `capacity` are left out. Between two cells of which one is above the threshold, the
    pixels above it are counted, of at most `most_pixels`; they are all on that cell's side.
    """
    owner = tl.program_id(0)
    column = tl.program_id(1) * columns_block + tl.arange(0, columns_block)
    ends_ptr += owner * width
    if tl.program_id(1) == 0:
        tl.store(out_ptr + owner, tl.load(ends_ptr + width - 1))
    top, bottom = tl.load(bounds_ptr + owner * 4), tl.load(bounds_ptr + owner * 4 + 1)
    begin, end = tl.load(bounds_ptr + owner * 4 + 2), tl.load(bounds_ptr + owner * 4 + 3)
    real = (column >= begin) & (column < end)
    if (tl.program_id(1) * columns_block < end) & ((tl.program_id(1) + 1) * columns_block > begin):
        soft_ptr += owner.to(tl.int64) * (h * w)
        upper, lower, changes = _cells_above(
            soft_ptr, top, bottom, column, real, across, threshold, w, gaps_block
        )
        gap = tl.arange(0, gaps_block)
        inner = ((gap > 0) & (gap < bottom - top))[:, None]
        cell = top - 1 + gap
        behind = _first_pixel(cell + 1, down, h, height)[:, None]
        # Where a mask ends at the border there is no pixel between the two.
        first = tl.where(inner, _first_pixel(cell, down, h, height)[:, None], behind)
        pixels_set = tl.zeros((gaps_block, columns_block), tl.int32)
        for number in range(most_pixels):
            pixel = first + number
            weight = _weight(pixel, cell[:, None], down)
            value = upper * (1.0 - weight) + lower * weight
            pixels_set += ((value > threshold) & (pixel < behind)).to(tl.int32)
        row = tl.where(lower > threshold, behind - pixels_set, first + pixels_set)
        changed = changes.to(tl.int32)
        last = tl.load(ends_ptr + column, mask=real, other=0)
        place = last - tl.sum(changed, 0)
        place = place[None, :] + tl.cumsum(changed, 0) - 1
        at = out_ptr + count + place
        tl.store(at, column[None, :] * height + row, mask=changes & (place < capacity))


@_kernel
def write_pixels(
    soft_ptr, bounds_ptr, out_ptr, height, width, across, down, threshold,
    h: tl.constexpr, w: tl.constexpr, rows_block: tl.constexpr, columns_block: tl.constexpr,
):  # fmt: skip
    """Write where each mask at image size is above the threshold, [N, height, width] as uint8.

    One program for some rows and columns of a mask; outside the mask's bounds it writes zeros.
    """
    owner = tl.program_id(0)
    row = tl.program_id(1) * rows_block + tl.arange(0, rows_block)
    column = tl.program_id(2) * columns_block + tl.arange(0, columns_block)
    top, bottom = tl.load(bounds_ptr + owner * 4), tl.load(bounds_ptr + owner * 4 + 1)
    begin, end = tl.load(bounds_ptr + owner * 4 + 2), tl.load(bounds_ptr + owner * 4 + 3)
    cell_y = _cell(row, down, h)
    real = ((cell_y >= top) & (cell_y < bottom) & (row < height))[:, None]
    real = real & ((column >= begin) & (column < end))[None, :]
    pixels = tl.zeros((rows_block, columns_block), tl.int32)
    if tl.sum(real.to(tl.int32)) > 0:
        soft_ptr += owner.to(tl.int64) * (h * w)
        cell_x = _cell(column, across, w)
        right = _weight(column, cell_x, across)[None, :]
        below = _weight(row, cell_y, down)[:, None]
        cell_x = cell_x[None, :]
        after = tl.minimum(cell_x + 1, w - 1)
        at = soft_ptr + cell_y[:, None] * w
        value = tl.load(at + cell_x, mask=real, other=0.0) * (1.0 - right)
        value += tl.load(at + after, mask=real, other=0.0) * right
        at = soft_ptr + tl.minimum(cell_y + 1, h - 1)[:, None] * w
        lower = tl.load(at + cell_x, mask=real, other=0.0) * (1.0 - right)
        lower += tl.load(at + after, mask=real, other=0.0) * right
        value = value * (1.0 - below)
        value += lower * below
        pixels = ((value > threshold) & real).to(tl.int32)
    out_ptr += owner.to(tl.int64) * (height * width)
    at = out_ptr + row[:, None] * width + column[None, :]
    written = (row < height)[:, None] & (column < width)[None, :]
    tl.store(at, pixels.to(tl.uint8), mask=written)
