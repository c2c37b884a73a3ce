"""Triton kernels of Fast NMS, first half: the best pairs of all classes, by a histogram.

A pair is an anchor with a class. Its key holds the bits of its probability and, below them, how
early its class and anchor come, so that keys are unique and their order is that of detections.
All tensors but keys are float32 or int32; images are the second axis of every grid.
"""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton.language as tl

from yolact_bench.geometry.boxes import CENTRE_VARIANCE, SIZE_VARIANCE
from yolact_bench.triton_kernel import kernel

BINS = 4096
LAST = 2**31 - 1
# Counters of an image: anchors that compete, pairs, kept pairs, and kept pairs of probability 0.
COUNTERS = 4

_BINS = tl.constexpr(BINS)
_COUNTERS = tl.constexpr(COUNTERS)
_LAST = tl.constexpr(LAST)
_CENTRE, _SIZE = tl.constexpr(CENTRE_VARIANCE), tl.constexpr(SIZE_VARIANCE)
# Bins are steps of 1/64 of a power of two: of p below a half, and of 1 - p, which is exact there,
# from a half on. So they are narrow at both ends, where probabilities gather.
_SHIFT = tl.constexpr(23 - 6)
_LEAST = tl.constexpr((103 << 6) - 1)  # below the bin of 2^-24, the least 1 - p that is not 0
# The rest of the bins is for p below a half, whose bin is 126 << 6; those below 2^-42 share one.
_FIRST = tl.constexpr((126 << 6) - (BINS - ((126 << 6) - (103 << 6) + 2)))


@kernel
def _bin(p):
    """Return the bin of probabilities; a larger one never has a lower bin."""
    low = tl.maximum(p.to(tl.int32, bitcast=True) >> _SHIFT, _FIRST) - _FIRST
    high = tl.maximum((1.0 - p).to(tl.int32, bitcast=True) >> _SHIFT, _LEAST) - _LEAST
    return tl.where(p < 0.5, low, -high + (_BINS - 1))


@kernel
def row_of(rows_ptr, anchor, real):
    """Return the numbers of the rows of anchors; without a table they are the anchors' own."""
    if rows_ptr is not None:
        anchor = tl.load(rows_ptr + anchor, mask=real, other=0)
    return anchor.to(tl.int64)


@kernel
def _logits(logits_ptr, image, row, column, real, steps):
    """Return a tile of logits, −∞ where there are none."""
    of_image, of_row, of_class = steps
    at = logits_ptr + image * of_image + row[:, None] * of_row
    return tl.load(at + column[None, :] * of_class, mask=real, other=-float("inf")).to(tl.float32)


@kernel
def count_scores(
    logits_ptr, rows_ptr, peak_ptr, total_ptr, bins_ptr, counters_ptr,
    anchors, columns, lb, lr, lc, min_score,
    anchors_block: tl.constexpr, columns_block: tl.constexpr,
):  # fmt: skip
    """Write what makes probabilities of each anchor's logits, and count those of all who compete.

    Logits are [B, R, C + 1] with any strides, the background first; `rows` [A] are those of the
    anchors, without it R is A. An anchor competes whose best class is above `min_score`; `total`
    [B, A] is 0 where it does not, so where any logit is NaN.
    """
    anchor = tl.program_id(0) * anchors_block + tl.arange(0, anchors_block)
    image = tl.program_id(1).to(tl.int64)
    column = tl.arange(0, columns_block)
    in_range = anchor < anchors
    real = in_range[:, None] & (column < columns)[None, :]
    row = row_of(rows_ptr, anchor, in_range)
    logits = _logits(logits_ptr, image, row, column, real, (lb, lr, lc))
    peak = tl.max(logits, 1)
    power = tl.where(real, tl.exp(logits - peak[:, None]), 0.0)
    total = tl.sum(power, 1)
    p = power / total[:, None]
    classes = real & (column > 0)[None, :]
    best = tl.max(tl.where(classes, p, 0.0), 1)
    competes = in_range & (best > min_score) & (total > 0)
    at = image * anchors + anchor
    tl.store(peak_ptr + at, peak, mask=in_range)
    tl.store(total_ptr + at, tl.where(competes, total, 0.0), mask=in_range)
    count = tl.sum(competes.to(tl.int32), 0)
    if count > 0:
        tl.atomic_add(counters_ptr + image * _COUNTERS, count, sem="relaxed")
        counted = classes & competes[:, None]
        place = bins_ptr + image * _BINS + tl.where(counted, _bin(p), 0)
        tl.atomic_add(place, 1, mask=counted, sem="relaxed")


@kernel
def _lowest_bin(bins_ptr, image, capacity):
    """Return the first bin from which on not more than `capacity` pairs lie."""
    bin_ = tl.arange(0, _BINS)
    counts = tl.load(bins_ptr + image * _BINS + bin_)
    from_here = tl.sum(counts, 0) - tl.cumsum(counts, 0) + counts
    return tl.sum((from_here > capacity).to(tl.int32), 0)


@kernel
def _decode(regressions_ptr, anchors_ptr, image, row, some, steps):
    """Return the corners of boxes, as `yolact_bench.geometry.boxes.decode` by the same steps."""
    of_image, of_row, of_side = steps
    at = regressions_ptr + image * of_image + row * of_row
    dx = tl.load(at, mask=some, other=0.0).to(tl.float32)
    dy = tl.load(at + of_side, mask=some, other=0.0).to(tl.float32)
    dw = tl.load(at + 2 * of_side, mask=some, other=0.0).to(tl.float32)
    dh = tl.load(at + 3 * of_side, mask=some, other=0.0).to(tl.float32)
    at = anchors_ptr + row * 4
    width = tl.load(at + 2, mask=some, other=0.0)
    height = tl.load(at + 3, mask=some, other=0.0)
    x = tl.load(at, mask=some, other=0.0) + dx * _CENTRE * width
    y = tl.load(at + 1, mask=some, other=0.0) + dy * _CENTRE * height
    width *= tl.exp(dw * _SIZE)
    height *= tl.exp(dh * _SIZE)
    left, top = x - width * 0.5, y - height * 0.5
    return left, top, left + width, top + height


@kernel
def collect_pairs(
    logits_ptr, regressions_ptr, anchors_ptr, rows_ptr,
    peak_ptr, total_ptr, bins_ptr, counters_ptr, key_ptr, box_ptr,
    anchors, columns, lb, lr, lc, rb, rr, rs,
    capacity: tl.constexpr, anchors_block: tl.constexpr, columns_block: tl.constexpr,
):  # fmt: skip
    """Write keys [B, capacity] and boxes [B, capacity, 4] of the best pairs, in no order.

    All pairs from some probability on, as many as fit. Regressions are [B, R, 4] with any strides,
    anchors [R, 4] as centre and size.
    """
    anchor = tl.program_id(0) * anchors_block + tl.arange(0, anchors_block)
    image = tl.program_id(1).to(tl.int64)
    column = tl.arange(0, columns_block)
    in_range = anchor < anchors
    total = tl.load(total_ptr + image * anchors + anchor, mask=in_range, other=0.0)
    competes = total > 0
    if tl.max(competes.to(tl.int32), 0) > 0:
        lowest = _lowest_bin(bins_ptr, image, capacity)
        peak = tl.load(peak_ptr + image * anchors + anchor, mask=competes, other=0.0)
        total = tl.where(competes, total, 1.0)
        real = competes[:, None] & (column < columns)[None, :]
        row = row_of(rows_ptr, anchor, competes)
        logits = _logits(logits_ptr, image, row, column, real, (lb, lr, lc))
        p = tl.where(real, tl.exp(logits - peak[:, None]), 0.0) / total[:, None]
        chosen = real & (column > 0)[None, :] & (_bin(p) >= lowest)
        ones = chosen.to(tl.int32)
        in_row = tl.sum(ones, 1)
        count = tl.sum(in_row, 0)
        if count > 0:
            start = tl.atomic_add(counters_ptr + image * _COUNTERS + 1, count, sem="relaxed")
            before = start + tl.cumsum(in_row, 0) - in_row
            place = before[:, None] + tl.cumsum(ones, 1) - ones
            chosen &= place < capacity
            earliness = ((column - 1)[None, :] * anchors + anchor[:, None]) ^ _LAST
            key = (p.to(tl.int32, bitcast=True).to(tl.int64) << 32) | earliness.to(tl.int64)
            at = image * capacity + place
            tl.store(key_ptr + at, key, mask=chosen)
            some = competes & (in_row > 0)
            left, top, right, bottom = _decode(
                regressions_ptr, anchors_ptr, image, row, some, (rb, rr, rs)
            )
            at = box_ptr + at * 4
            tl.store(at, tl.broadcast_to(left[:, None], place.shape), mask=chosen)
            tl.store(at + 1, tl.broadcast_to(top[:, None], place.shape), mask=chosen)
            tl.store(at + 2, tl.broadcast_to(right[:, None], place.shape), mask=chosen)
            tl.store(at + 3, tl.broadcast_to(bottom[:, None], place.shape), mask=chosen)
