"""Which anchor each object claims for itself, whatever their overlap."""

import logging
from contextlib import nullcontext
from functools import cache
from importlib.util import find_spec

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.triton_kernel import power_of_two

_NUMBERS = 0xFFFFFFFF  # room for an anchor's number, in the lower half of a key
NO_CLAIM = -(1 << 56)  # the key of what may not be claimed: read as an overlap, it is negative
_MOST_OBJECTS = 64  # of an image whose keys fit the registers of one program; COCO's have 93
# The kernel is compiled for so many objects of an image, and serves fewer.
KERNEL_SIZES = (16, 32, _MOST_OBJECTS)

log = logging.getLogger(__name__)


def claims_of_batch(
    best: Int64[Tensor, "B N M"],
) -> tuple[Int64[Tensor, "B M"], Int64[Tensor, "B M"]]:
    """`claims` of each image: on a GPU one kernel, elsewhere the loop over objects.

    Where no object claims, only the anchor, -1, is the same.
    """
    if not best.is_cuda:
        return claims(best)
    if fault := _kernel_fault(best.shape[1]):
        _note_loop(fault)
        return claims(best)
    return claims_by_kernel(best)


def claims_by_kernel(
    best: Int64[Tensor, "B N M"],
) -> tuple[Int64[Tensor, "B M"], Int64[Tensor, "B M"]]:
    """The same by the kernel, a program for each image, all of whose keys are in its registers."""
    # Triton, which CPU installations may lack, is imported by the first call.
    from yolact_bench.loss.claim_kernel import claim

    images, objects, size = best.shape
    best = best.contiguous()
    anchor, row = (best.new_empty((images, size)) for _ in range(2))
    objects_block, size_block = power_of_two(objects), power_of_two(size)  # few are compiled
    # Triton launches on the current device, which need not be that of the keys.
    with torch.cuda.device(best.device) if best.is_cuda else nullcontext():
        claim[(images,)](
            *(best, anchor, row, objects, size),
            objects_block=objects_block,
            size_block=size_block,
            num_warps=max(objects_block * size_block // 512, 1),  # 16 keys a thread: no spills
        )
    return anchor, row


def _kernel_fault(objects: int) -> str:
    if objects > _MOST_OBJECTS:
        return f"{objects} objects in an image are more than {_MOST_OBJECTS}"
    return "" if find_spec("triton") else "there is no Triton"


@cache
def _note_loop(fault: str) -> None:
    """Log, once, that matching takes more operations than it could."""
    log.warning("Objects claim anchors one after the other, more slowly: %s", fault)


def claims(
    best: Int64[Tensor, "*batch N M"],
) -> tuple[Int64[Tensor, "*batch M"], Int64[Tensor, "*batch M"]]:
    """Anchors and the objects that claim them: highest overlap first, each anchor once.

    Of M objects and anchors, whichever are fewer, each object names its M best by `rank_anchors`.
    It can lose at most N - 1 anchors to others, so these suffice: the loop runs over a small table
    and never waits for the device. Of equal overlaps the object with the lower row goes first and
    takes the anchor with the lower number, as a search over the whole table would find them. Where
    no object is left that may claim, the anchor is -1.
    """
    num_objects, size = best.shape[-2:]
    key = best.flatten(-2)
    overlap, anchor = (key >> 32).int().view(torch.float32), _NUMBERS - (key & _NUMBERS)
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


def rank_anchors(
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
