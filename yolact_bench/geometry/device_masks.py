"""Masks at image size and the toggles of their run lengths, made on the GPU that has the masks."""

import logging
from functools import cache
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from yolact_bench.shapes import to_host
from yolact_bench.triton_kernel import UNFUSED, kernels_fault, power_of_two

log = logging.getLogger(__name__)

# What is copied at once: a mask of 200 columns has 400 to 500 toggles. Where there are more, all
# are written and copied a second time.
TOGGLES_PER_MASK = 512
# Of one program, as many gaps between cells as fit its registers.
_MOST_CELLS = 1023
_MOST_PLACES = 2**31

Int64 = NDArray[np.int64]


def kernel_fault(soft_masks: Float[Tensor, "N h w"], height: int, width: int) -> str:
    """Return why kernels cannot make these masks as large as the image; "" where they can."""
    if soft_masks.dtype != torch.float32:
        return f"the soft masks are {soft_masks.dtype}, not torch.float32"
    if max(soft_masks.shape[1:]) > _MOST_CELLS:
        return f"prototypes of {tuple(soft_masks.shape[1:])} have more than {_MOST_CELLS} cells"
    if height * width >= _MOST_PLACES or len(soft_masks) * width >= _MOST_PLACES:
        return f"{len(soft_masks)} masks of {height}x{width} pixels have too many pixels"
    if 0 in soft_masks.shape[1:]:
        return "the soft masks have no cells"
    return kernels_fault(soft_masks.device.type)


@cache
def note_slow_path(fault: str) -> None:
    """Log, once, that masks are made without the kernels."""
    log.warning("Masks of a GPU are upsampled or encoded the slower way, to the same: %s", fault)


def device_pixels(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> Bool[Tensor, "N H W"]:
    """Return all masks at image size, on their device, without floats of that size in between."""
    kernels, (count, h, w) = _kernels(), soft_masks.shape
    soft = soft_masks.detach().contiguous()
    masks = soft.new_empty((count, height, width), dtype=torch.bool)
    if masks.numel() == 0:
        return masks
    down, across, least = _scale(h, height), _scale(w, width), float(np.float32(threshold))
    bounds = _bounds(soft, width, across, least)
    rows, columns = kernels.PIXELS_BLOCK
    kernels.write_pixels[(count, -(-height // rows), -(-width // columns))](
        *(soft, bounds, masks.view(torch.uint8), height, width, across, down, least, h, w),
        rows_block=rows,
        columns_block=columns,
        **UNFUSED,
    )
    return masks


def device_toggles(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> tuple[Int64, Int64]:
    """Return whose each toggle is, and its place, in order; the host waits once, seldom twice.

    A toggle is a pixel, numbered down the columns, from which on a mask is the opposite of what
    it was. Products and sums are those of `run_lengths`, so the places are the same.
    """
    count, h, w = soft_masks.shape
    if count == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    kernels, soft = _kernels(), soft_masks.detach().contiguous()
    down, across, least = _scale(h, height), _scale(w, width), float(np.float32(threshold))
    grid = count, -(-width // kernels.COLUMNS_BLOCK)
    blocks = {"gaps_block": power_of_two(h + 1, least=2), "columns_block": kernels.COLUMNS_BLOCK}
    bounds = _bounds(soft, width, across, least)
    counts = soft.new_empty(count * width, dtype=torch.int32)
    kernels.count_toggles[grid](
        *(soft, bounds, counts, width, across, least, h, w), **blocks, **UNFUSED
    )
    # How many toggles come before the end of each column, the columns of all masks in one row.
    ends = counts.cumsum(0, dtype=torch.int32)

    def write(capacity: int) -> NDArray[np.int32]:
        out = soft.new_empty(count + capacity, dtype=torch.int32)
        kernels.write_toggles[grid](
            *(soft, bounds, ends, out, count, capacity, height, width, across, down, least, h, w),
            **blocks,
            most_pixels=power_of_two(_pixels_of_a_cell(h, height), least=2),
            **UNFUSED,
        )
        values: NDArray[np.int32] = to_host(out)[0].numpy()
        return values

    values = write(TOGGLES_PER_MASK * count)
    total = int(values[count - 1])
    if total > len(values) - count:
        values = write(total)
    per_mask = np.diff(values[:count], prepend=np.int32(0))
    owner = np.repeat(np.arange(count, dtype=np.int64), per_mask)
    return owner, values[count : count + total].astype(np.int64)


def _bounds(soft: Tensor, width: int, across: float, threshold: float) -> Tensor:
    """Return rows of cells and columns of the image that each mask is within, [N, 4]."""
    kernels = _kernels()
    count, h, w = soft.shape
    bounds = soft.new_empty((count, 4), dtype=torch.int32)
    kernels.find_bounds[(count,)](
        *(soft, bounds, width, across, threshold, h, w),
        rows_block=kernels.ROWS_BLOCK,
        cells_block=power_of_two(w, least=2),
        **UNFUSED,
    )
    return bounds


def _kernels() -> ModuleType:
    # Triton, which CPU installations may lack, is imported by the first call.
    return import_module("yolact_bench.geometry.mask_kernels")


def _scale(cells: int, pixels: int) -> float:
    # In float32 like torch's own kernel: the same rounding gives the same pixels.
    return float(np.float32(cells) / np.float32(pixels))


def _pixels_of_a_cell(cells: int, pixels: int) -> int:
    """Return a number that no gap between two cells has more pixels than.

    The first has one and a half times as many as the others.
    """
    return 3 * pixels // (2 * cells) + 2
