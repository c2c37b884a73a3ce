"""The Triton kernel of claims: all of an image's objects in one program, in registers.

With TRITON_INTERPRET=1 in the environment before this is imported, it runs on the CPU, slowly.

Source: `yolact_bench/loss/claims.py`, the same loop.
Differs: nothing; it compares integers, so the claims are the same. Where no object claims, the
row is 0.
"""
# ruff: noqa: ANN001, ANN201 (Triton types the parameters of a kernel itself)
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from functools import partial

import triton.language as tl

from yolact_bench.triton_kernel import kernel


# The number of objects changes from step to step; it is no reason to compile anew.
@partial(kernel, free=("objects", "size"))
def claim(
    best_ptr,
    anchor_ptr,
    row_ptr,
    objects,
    size,
    objects_block: tl.constexpr,
    size_block: tl.constexpr,
):
    """Write the anchors and the objects that claim them; one program for each image.

    `best` is int64 [B, objects, size] and what is written int64 [B, size], adjacent in memory. The
    upper half of a key is an overlap, the lower one what an anchor's number lacks to 2³² - 1.
    """
    image = tl.program_id(0).to(tl.int64)
    row = tl.arange(0, objects_block)
    column = tl.arange(0, size_block)
    there = (row[:, None] < objects) & (column[None, :] < size)
    place = image * objects * size + row[:, None] * size + column[None, :]
    key = tl.load(best_ptr + place, mask=there, other=-1)
    row_wide = row.to(tl.int64)
    for step in range(size_block):
        best_of_row = tl.max(key, axis=1)
        # The highest overlap; of equal ones the object with the lower row.
        rank = ((best_of_row >> 32) << 32) + (objects_block - 1 - row_wide)
        highest = tl.max(rank, axis=0)
        has_claim = highest >= 0
        winner = objects_block - 1 - (highest - ((highest >> 32) << 32))
        of_winner = tl.sum(tl.where(row_wide == winner, best_of_row, 0), axis=0)
        taken = of_winner - ((of_winner >> 32) << 32)
        # The lower half alone: no more registers than the keys themselves.
        lost = (key.to(tl.int32) == taken.to(tl.int32)) | (row_wide == winner)[:, None]
        key = tl.where(has_claim & lost, -1, key)
        anchor = tl.where(has_claim, 0xFFFFFFFF - taken, -1)
        out = image * size + step
        tl.store(anchor_ptr + out, anchor, mask=step < size)
        tl.store(row_ptr + out, tl.where(has_claim, winner, 0), mask=step < size)
