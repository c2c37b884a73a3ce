"""The Triton kernel of mask assembly: product, sigmoid and crop of all detections of a batch."""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton.language as tl

from yolact_bench.triton_kernel import kernel

_ALL = tl.constexpr(tl.PropagateNan.ALL)


@kernel
def _within(a, b, cell, cells):
    """Return which cells lie between two bounds, a cell wider; none where a bound is NaN."""
    a, b = a * cells, b * cells
    low = tl.minimum(a, b, propagate_nan=_ALL) - 1.0
    high = tl.maximum(a, b, propagate_nan=_ALL) + 1.0
    cell = cell.to(tl.float32)[None, :]
    return (cell >= low[:, None]) & (cell < high[:, None])


@kernel
def assemble(
    prototypes_ptr, coefficients_ptr, boxes_ptr, masks_ptr,
    rows, height, width, k, pb, py, px, pk,
    crops: tl.constexpr,
    rows_block: tl.constexpr, cells_block: tl.constexpr, k_block: tl.constexpr,
):  # fmt: skip
    """Write soft masks [B, N, h, w] in float32.

    Of prototypes [B, h, w, k] with any strides, and of contiguous float32 coefficients [B, N, k]
    and boxes [B, N, 4], corners as fractions. One program makes some cells of some masks.
    """
    row = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    cell = tl.program_id(1) * cells_block + tl.arange(0, cells_block)
    image = tl.program_id(2).to(tl.int64)
    value = tl.arange(0, k_block)
    some, real, used = row < rows, cell < height * width, value < k
    y, x = cell // width, cell % width
    at = coefficients_ptr + (image * rows + row)[:, None] * k + value[None, :]
    coefficients = tl.load(at, mask=some[:, None] & used[None, :], other=0.0)
    at = prototypes_ptr + image * pb + (y * py + x * px)[None, :] + value[:, None] * pk
    prototypes = tl.load(at, mask=used[:, None] & real[None, :], other=0.0).to(tl.float32)
    logits = tl.dot(coefficients, prototypes, input_precision="ieee")
    masks = 1.0 / (1.0 + tl.exp(-logits))
    if crops:
        at = boxes_ptr + (image * rows + row) * 4
        left, top = tl.load(at, mask=some, other=0.0), tl.load(at + 1, mask=some, other=0.0)
        right, bottom = tl.load(at + 2, mask=some, other=0.0), tl.load(at + 3, mask=some, other=0.0)
        inside = _within(left, right, x, width) & _within(top, bottom, y, height)
        masks = tl.where(inside, masks, 0.0)
    at = masks_ptr + ((image * rows + row) * height * width)[:, None] + cell[None, :]
    tl.store(at, masks, mask=some[:, None] & real[None, :])
