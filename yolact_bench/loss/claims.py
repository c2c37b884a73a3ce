"""Which anchor each object claims for itself, whatever their overlap."""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

_NUMBERS = 0xFFFFFFFF  # room for an anchor's number, in the lower half of a key
NOBODY = -(1 << 56)  # the key of what may not be claimed: read as an overlap, it is negative


def claims(
    best: Int64[Tensor, "*batch N M"],
) -> tuple[Int64[Tensor, "*batch M"], Int64[Tensor, "*batch M"]]:
    """Anchors and the objects that claim them: highest overlap first, each anchor once.

    Of M objects and anchors, whichever are fewer, each object names its M best by `ranked`. It
    can lose at most N - 1 anchors to others, so these suffice: the loop runs over a small table
    and never waits for the device. Of equal overlaps the object with the lower row goes first
    and takes the anchor with the lower number, as a search over the whole table would find them.
    Where no object is left that may claim, the anchor is -1.
    """
    num_objects, size = best.shape[-2:]
    overlap, anchor = _unpacked(best.flatten(-2))
    row = torch.arange(num_objects, device=best.device).repeat_interleave(size)

    winners, values = [], []
    for _ in range(size):
        value, place = overlap.max(dim=-1, keepdim=True)
        winners.append(place)
        values.append(value)
        taken = (anchor == anchor.gather(-1, place)) | (row == row[place])
        overlap = overlap.masked_fill(taken, -1.0)
    won = torch.cat(winners, dim=-1)
    return anchor.gather(-1, won).masked_fill(torch.cat(values, dim=-1) < 0, -1), row[won]


def ranked(
    iou: Float[Tensor, "*batch N A"], size: int, *, first: int = 0
) -> Int64[Tensor, "*batch N {size}"]:
    """The `size` best anchors of each object, numbered from `first`; lower ones before equals.

    `topk` leaves the order of equal values open. Positive floats sort like their bit patterns,
    so overlap and anchor number fit in one integer without ties.
    """
    low = _NUMBERS - first
    key = iou.float().contiguous().view(torch.int32).long()
    key <<= 32  # in place: the table has a million entries, and fresh memory costs more than this
    key |= torch.arange(low, low - iou.shape[-1], -1, device=iou.device)
    return key.topk(size, dim=-1).values


def _unpacked(
    key: Int64[Tensor, "*batch K"],
) -> tuple[Float32[Tensor, "*batch K"], Int64[Tensor, "*batch K"]]:
    return (key >> 32).int().view(torch.float32), _NUMBERS - (key & _NUMBERS)
