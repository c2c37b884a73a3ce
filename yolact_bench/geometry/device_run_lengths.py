"""The toggles of COCO's run lengths, found on the GPU that has the soft masks."""

import logging
from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from yolact_bench.shapes import to_host

log = logging.getLogger(__name__)

# What is copied at once: a mask of 200 columns has 400 to 500 toggles. Where there are more, all
# are written and copied a second time.
TOGGLES_PER_MASK = 512
# Of one program, as many gaps between cells as fit its registers.
_MOST_CELLS = 1023
_MOST_PLACES = 2**31

Int64 = NDArray[np.int64]


def device_fault(soft_masks: Float[Tensor, "N h w"], height: int, width: int) -> str:
    """Return why a GPU cannot find the toggles of these masks; "" where it can."""
    if soft_masks.dtype != torch.float32:
        return f"the soft masks are {soft_masks.dtype}, not torch.float32"
    if max(soft_masks.shape[1:]) > _MOST_CELLS:
        return f"prototypes of {tuple(soft_masks.shape[1:])} have more than {_MOST_CELLS} cells"
    if height * width >= _MOST_PLACES or len(soft_masks) * width >= _MOST_PLACES:
        return f"{len(soft_masks)} masks of {height}x{width} pixels have too many pixels"
    if 0 in soft_masks.shape[1:]:
        return "the soft masks have no cells"
    return "" if find_spec("triton") else "there is no Triton"


@cache
def note_host_path(fault: str) -> None:
    """Log, once, that masks go to the host as they are."""
    log.warning("Masks are encoded on the host, more slowly and to the same bytes: %s", fault)


def device_toggles(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> tuple[Int64, Int64]:
    """Return whose each toggle is, and its place, in order; the host waits once, seldom twice.

    A toggle is a pixel, numbered down the columns, from which on a mask is the opposite of what
    it was. Products and sums are those of `run_lengths`, so the places are the same.
    """
    # Triton, which CPU installations may lack, is imported by the first call.
    from yolact_bench.geometry import run_length_kernels as kernels

    count, h, w = soft_masks.shape
    if count == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    soft = soft_masks.detach().contiguous()
    # In float32 like torch's own kernel: the same rounding gives the same pixels.
    across = float(np.float32(w) / np.float32(width))
    down = float(np.float32(h) / np.float32(height))
    least = float(np.float32(threshold))
    bounds = soft.new_empty((count, 4), dtype=torch.int32)
    counts = soft.new_empty((count, width), dtype=torch.int32)
    # As the host does: no product is fused with a sum.
    plain = {"enable_fp_fusion": False}
    kernels.find_bounds[(count,)](
        *(soft, bounds, width, across, least, h, w),
        rows_block=kernels.ROWS_BLOCK,
        cells_block=_power_of_two(w),
        **plain,
    )
    blocks = {"gaps_block": _power_of_two(h + 1), "columns_block": kernels.COLUMNS_BLOCK}
    grid = (count, -(-width // kernels.COLUMNS_BLOCK))
    kernels.count_toggles[grid](soft, bounds, counts, width, across, least, h, w, **blocks, **plain)
    ends = counts.view(-1).cumsum(0, dtype=torch.int32)

    def written(room: int) -> NDArray[np.int32]:
        out = soft.new_empty(count + room, dtype=torch.int32)
        kernels.write_toggles[grid](
            *(soft, bounds, ends, out, count, room, height, width, across, down, least, h, w),
            **blocks,
            most_pixels=_power_of_two(_pixels_of_a_cell(h, height)),
            **plain,
        )
        (on_host,) = to_host(out)
        values: NDArray[np.int32] = on_host.numpy()
        return values

    values = written(TOGGLES_PER_MASK * count)
    total = int(values[count - 1])
    if total > len(values) - count:
        values = written(total)
    per_mask = np.diff(values[:count], prepend=np.int32(0))
    owner = np.repeat(np.arange(count, dtype=np.int64), per_mask)
    return owner, values[count : count + total].astype(np.int64)


def _pixels_of_a_cell(cells: int, pixels: int) -> int:
    """Return a number that no gap between two cells has more pixels than.

    The first has one and a half times as many as the others.
    """
    return 3 * pixels // (2 * cells) + 2


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()
