"""Triton kernels of the class loss: hardness and cost of anchors, the hardest, and the gradient.

An anchor's key, int32, is the bit pattern of its hardness where it is background, and negative
elsewhere. With the anchor's number behind it, it orders anchors as `topk` does on a GPU: NaN
first, then the hardest, of equals the one with the lower number.
"""
# ruff: noqa: ANN001, ANN201, ANN202 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from functools import partial

import triton.language as tl

from yolact_bench.triton_kernel import kernel

_POSITIVE, _NEUTRAL = tl.constexpr(-1), tl.constexpr(-2)  # keys of those that are no background
_NAN_KEY = tl.constexpr(0x7FC00000)
_INFINITE = tl.constexpr(float("inf"))
_NAN = tl.constexpr(float("nan"))
# A histogram costs each warp a step for every 32 of its bins; with 64 of them eight rounds do.
_DIGIT = tl.constexpr(6)
_BINS = tl.constexpr(1 << 6)


@kernel
def _logits(scores_ptr, row, used, columns, columns_block: tl.constexpr):
    """Return a tile of logits, -inf where there are none."""
    column = tl.arange(0, columns_block)[None, :]
    real = used[:, None] & (column < columns)
    at = scores_ptr + row[:, None] * columns + column
    return tl.load(at, mask=real, other=-_INFINITE).to(tl.float32)


@kernel
def _rank(key, anchor, index_bits: tl.constexpr):
    """Return the key with the anchor's number behind it, no two equal; negative if the key is."""
    return (key.to(tl.int64) << index_bits) + ((1 << index_bits) - 1 - anchor)


@kernel
def _is_chosen(key, anchor, cut, index_bits: tl.constexpr):
    """Return which anchors are positive, or background of this rank at least."""
    return (key == _POSITIVE) | ((key >= 0) & (_rank(key, anchor, index_bits) >= cut))


@partial(kernel, free=("anchors",))
def weigh_anchors(
    scores_ptr, labels_ptr, key_ptr, cost_ptr, anchors,
    columns: tl.constexpr, rows_block: tl.constexpr, columns_block: tl.constexpr,
):  # fmt: skip
    """Write keys, int32, and the cross-entropy of each anchor's label, float32, both [B, A].

    Logits are [B, A, C + 1], the background first, and labels int64 [B, A], adjacent in memory.
    """
    anchor = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    row = tl.program_id(1).to(tl.int64) * anchors + anchor
    some = anchor < anchors
    x = _logits(scores_ptr, row, some, columns, columns_block)
    highest = tl.max(x, 1)
    base = tl.where(tl.abs(highest) == _INFINITE, 0.0, highest)
    whole = tl.log(tl.sum(tl.exp(x - base[:, None]), 1)) + base
    label = tl.load(labels_ptr + row, mask=some, other=-1)
    first = scores_ptr + row * columns
    background = tl.load(first, mask=some, other=0.0).to(tl.float32)
    # A label without a logit, which the operators of torch refuse: the loss is no number.
    of_label = tl.load(first + label, mask=some & (label >= 0) & (label < columns), other=_NAN)
    hardness = whole - background
    bits = hardness.to(tl.int32, bitcast=True)
    # Rounding may leave less than 0.
    key = tl.where(hardness > 0.0, bits, tl.where(hardness <= 0.0, 0, _NAN_KEY))
    key = tl.where(label == 0, key, tl.where(label > 0, _POSITIVE, _NEUTRAL))
    # As log_softmax, which is no number where a logit is infinite.
    cost = tl.where(highest == _INFINITE, _NAN, whole - of_label.to(tl.float32))
    tl.store(key_ptr + row, key, mask=some)
    tl.store(cost_ptr + row, cost, mask=some)


@partial(kernel, free=("per_positive",))
def choose_hardest(
    key_ptr, cost_ptr, total_ptr, cut_ptr, per_positive,
    anchors: tl.constexpr, index_bits: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Write what the chosen anchors cost, float32 [B], and the rank of the last one, int64 [B].

    One program for each image. It fixes the lowest rank that is chosen a digit at a time, the
    highest first, by counting how many ranks with the digits so far have which digit next.
    """
    image = tl.program_id(0).to(tl.int64)
    key_ptr += image * anchors
    cost_ptr += image * anchors
    place = tl.arange(0, block)
    positive = tl.zeros((block,), tl.int32)
    for first in range(0, anchors, block):
        key = tl.load(key_ptr + first + place, mask=first + place < anchors, other=_NEUTRAL)
        positive += (key == _POSITIVE).to(tl.int32)
    left = tl.minimum(tl.sum(positive, 0).to(tl.int64) * per_positive, anchors - 1)

    rounds: tl.constexpr = (31 + index_bits + _DIGIT - 1) // _DIGIT
    number = tl.arange(0, _BINS)
    cut = tl.zeros((), tl.int64)
    for done in range(rounds):
        shift = (rounds - 1 - done) * _DIGIT
        count = tl.zeros((_BINS,), tl.int32)
        for first in range(0, anchors, block):
            key = tl.load(key_ptr + first + place, mask=first + place < anchors, other=_NEUTRAL)
            rank = _rank(key, first + place, index_bits)
            same = (key >= 0) & ((rank >> shift) >> _DIGIT == (cut >> shift) >> _DIGIT)
            digit = ((rank >> shift) & (_BINS - 1)).to(tl.int32)
            count += tl.histogram(digit, _BINS, mask=same)
        from_here = tl.cumsum(count, 0, reverse=True)
        # With fewer than are wanted it stays 0, and all are chosen; with none wanted, no rank is.
        digit = tl.maximum(tl.sum((from_here >= left).to(tl.int32), 0) - 1, 0)
        left -= tl.sum(tl.where(number > digit, count, 0), 0)
        cut += digit.to(tl.int64) << shift

    total = tl.zeros((block,), tl.float32)
    for first in range(0, anchors, block):
        there = first + place < anchors
        key = tl.load(key_ptr + first + place, mask=there, other=_NEUTRAL)
        cost = tl.load(cost_ptr + first + place, mask=there, other=0.0)
        total += tl.where(_is_chosen(key, first + place, cut, index_bits), cost, 0.0)
    tl.store(total_ptr + image, tl.sum(total, 0))
    tl.store(cut_ptr + image, cut)


@partial(kernel, free=("anchors",))
def write_gradient(
    scores_ptr, labels_ptr, key_ptr, cut_ptr, of_total_ptr, out_ptr, anchors,
    columns: tl.constexpr, index_bits: tl.constexpr,
    rows_block: tl.constexpr, columns_block: tl.constexpr,
):  # fmt: skip
    """Write the gradient of the logits [B, A, C + 1]: softmax less one for the label, or zeros.

    `of_total` is the gradient of the sum, one number. Logits of anchors that are not chosen are
    not read.
    """
    anchor = tl.program_id(0) * rows_block + tl.arange(0, rows_block)
    image = tl.program_id(1).to(tl.int64)
    row = image * anchors + anchor
    some = anchor < anchors
    key = tl.load(key_ptr + row, mask=some, other=_NEUTRAL)
    chosen = _is_chosen(key, anchor, tl.load(cut_ptr + image), index_bits)
    x = _logits(scores_ptr, row, chosen, columns, columns_block)
    label = tl.load(labels_ptr + row, mask=chosen, other=-1)
    column = tl.arange(0, columns_block)[None, :]
    powers = tl.exp(x - tl.max(x, 1)[:, None])
    share = powers / tl.sum(powers, 1)[:, None]
    gradient = (share - (column == label[:, None]).to(tl.float32)) * tl.load(of_total_ptr)
    gradient = tl.where(chosen[:, None], gradient, 0.0).to(out_ptr.dtype.element_ty)
    at = out_ptr + row[:, None] * columns + column
    tl.store(at, gradient, mask=some[:, None] & (column < columns))
