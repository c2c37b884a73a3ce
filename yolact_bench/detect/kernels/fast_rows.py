"""Triton kernels of Fast NMS, second half: what is kept of the pairs, in rows, best first.

Ranks come from comparing every key with every other, so nothing is sorted. The pairs are those of
`fast_pairs`, whose keys and counters are explained there.
"""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton.language as tl

from yolact_bench.detect.kernels.fast_pairs import COUNTERS, LAST, row_of
from yolact_bench.triton_kernel import kernel

_COUNTERS = tl.constexpr(COUNTERS)
_LAST = tl.constexpr(LAST)
_TINY = tl.constexpr(2.0**-126)  # the least normal number, as in `box_iou`


@kernel
def _place(key):
    """Return the number of a pair, counted over classes and then anchors."""
    return (key & _LAST).to(tl.int32) ^ _LAST


@kernel
def _probability(key):
    """Return the probability of a pair."""
    return (key >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@kernel
def _pairs(key_ptr, box_ptr, start, pair, count):
    """Return keys, 0 where there is no pair, and corners."""
    some = pair < count
    key = tl.load(key_ptr + start + pair, mask=some, other=0)
    at = box_ptr + (start + pair) * 4
    left, top = tl.load(at, mask=some, other=0.0), tl.load(at + 1, mask=some, other=0.0)
    right, bottom = tl.load(at + 2, mask=some, other=0.0), tl.load(at + 3, mask=some, other=0.0)
    return key, (left, top, right, bottom)


@kernel
def _overlaps(a, b, max_iou):
    """Return which boxes `a`, by row, have an IoU above `max_iou` with which boxes `b`.

    By the operations of `box_iou`; comparisons with NaN are false there, too.
    """
    left, top, right, bottom = a
    left_b, top_b, right_b, bottom_b = b
    across = tl.minimum(right[:, None], right_b[None, :])
    across = tl.maximum(across - tl.maximum(left[:, None], left_b[None, :]), 0.0)
    down = tl.minimum(bottom[:, None], bottom_b[None, :])
    down = tl.maximum(down - tl.maximum(top[:, None], top_b[None, :]), 0.0)
    shared = across * down
    area, area_b = (right - left) * (bottom - top), (right_b - left_b) * (bottom_b - top_b)
    union = area[:, None] + area_b[None, :] - shared
    return tl.div_rn(shared, tl.where(union < _TINY, _TINY, union)) > max_iou


@kernel
def mark_kept(
    key_ptr, box_ptr, kept_ptr, counters_ptr,
    anchors, max_iou, top_k,
    capacity: tl.constexpr, own_block: tl.constexpr, others_block: tl.constexpr,
):  # fmt: skip
    """Write the keys of pairs that are kept, [B, capacity], 0 for the others, and count them.

    Kept is a pair among the best `top_k` of its class that no better pair of it overlaps; one of
    probability 0 is counted, but not kept.
    """
    image = tl.program_id(1).to(tl.int64)
    start = image * capacity
    counters_ptr += image * _COUNTERS
    count = tl.minimum(tl.load(counters_ptr + 1), capacity)
    own = tl.program_id(0) * own_block + tl.arange(0, own_block)
    if tl.program_id(0) * own_block < count:
        key, box = _pairs(key_ptr, box_ptr, start, own, count)
        label, p = _place(key) // anchors, _probability(key)
        # Better pairs of the class in the low half, those that overlap in the high half.
        marks = tl.zeros((others_block, own_block), dtype=tl.int32)
        for first in range(0, capacity, others_block):
            if first < count:
                other = first + tl.arange(0, others_block)
                other_key, other_box = _pairs(key_ptr, box_ptr, start, other, count)
                same = (_place(other_key) // anchors)[:, None] == label[None, :]
                better = (other_key[:, None] > key[None, :]) & same
                overlap = better & _overlaps(other_box, box, max_iou)
                marks += better.to(tl.int32) + (overlap.to(tl.int32) << 16)
        mark = tl.sum(marks, 0)
        stays = (own < count) & (mark >> 16 == 0) & ((mark & 0xFFFF) < top_k)
        kept = stays & (p > 0)
        tl.store(kept_ptr + start + own, tl.where(kept, key, 0), mask=own < count)
        tl.atomic_add(counters_ptr + 2, tl.sum(kept.to(tl.int32), 0), sem="relaxed")
        none = stays & (p == 0)
        tl.atomic_add(counters_ptr + 3, tl.sum(none.to(tl.int32), 0), sem="relaxed")


@kernel
def _coefficients(of_image_ptr, row, value, mask, steps, tanh: tl.constexpr):
    """Return rows of coefficients, or their hyperbolic tangents to within that of exponentials."""
    of_row, of_value = steps
    at = of_image_ptr + row[:, None] * of_row + value[None, :] * of_value
    values = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    if tanh:
        power = tl.exp(-2.0 * tl.abs(values))
        size = (1.0 - power) / (1.0 + power)
        values = tl.where(values < 0, -size, size)
    return values


@kernel
def write_rows(
    kept_ptr, box_ptr, counters_ptr, coefficients_ptr, rows_ptr,
    boxes_ptr, scores_ptr, labels_ptr, chosen_ptr, exact_ptr,
    anchors, classes, rows, coefficients, cb, cr, ck,
    capacity: tl.constexpr, own_block: tl.constexpr, others_block: tl.constexpr,
    coefficients_block: tl.constexpr, tanh: tl.constexpr,
):  # fmt: skip
    """Write kept pairs as rows, best first: a pair's row is the number of kept ones before it.

    Boxes [B, rows, 4], scores [B, rows], labels [B, rows] and chosen coefficients [B, rows, k],
    from coefficients [B, R, k] with any strides, or their hyperbolic tangent; zeros in rows that
    stay empty. Exact [B] is 1 where these rows are all that Fast NMS keeps.
    """
    image = tl.program_id(1).to(tl.int64)
    start, out = image * capacity, image * rows
    counters_ptr += image * _COUNTERS
    count = tl.minimum(tl.load(counters_ptr + 1), capacity)
    num_kept = tl.load(counters_ptr + 2)
    own = tl.program_id(0) * own_block + tl.arange(0, own_block)
    value = tl.arange(0, coefficients_block)
    real = (value < coefficients)[None, :]
    side = tl.arange(0, 4)[None, :]
    key = tl.load(kept_ptr + start + own, mask=own < count, other=0)
    if tl.max(key, 0) > 0:
        before = tl.zeros((others_block, own_block), dtype=tl.int32)
        for first in range(0, capacity, others_block):
            if first < count:
                other = first + tl.arange(0, others_block)
                other_key = tl.load(kept_ptr + start + other, mask=other < count, other=0)
                before += (other_key[:, None] > key[None, :]).to(tl.int32)
        row = tl.sum(before, 0)
        written = (key > 0) & (row < rows)
        anchor, label = _place(key) % anchors, _place(key) // anchors
        tl.store(scores_ptr + out + row, _probability(key), mask=written)
        tl.store(labels_ptr + out + row, label.to(tl.int64), mask=written)
        box = tl.load(box_ptr + (start + own)[:, None] * 4 + side, mask=written[:, None], other=0.0)
        tl.store(boxes_ptr + (out + row)[:, None] * 4 + side, box, mask=written[:, None])
        mask = written[:, None] & real
        place = row_of(rows_ptr, anchor, written)
        of_image_ptr = coefficients_ptr + image * cb
        chosen = _coefficients(of_image_ptr, place, value, mask, (cr, ck), tanh)
        at = chosen_ptr + (out + row)[:, None] * coefficients + value[None, :]
        tl.store(at, chosen, mask=mask)
    empty = (own >= num_kept) & (own < rows)
    tl.store(scores_ptr + out + own, 0.0, mask=empty)
    tl.store(labels_ptr + out + own, 0, mask=empty)
    tl.store(boxes_ptr + (out + own)[:, None] * 4 + side, 0.0, mask=empty[:, None])
    at = chosen_ptr + (out + own)[:, None] * coefficients + value[None, :]
    tl.store(at, 0.0, mask=empty[:, None] & real)
    if tl.program_id(0) == 0:
        complete = tl.load(counters_ptr).to(tl.int64) * classes <= capacity
        settled = complete & (tl.load(counters_ptr + 3) == 0)
        tl.store(exact_ptr + image, ((num_kept >= rows) | settled).to(tl.int8))
