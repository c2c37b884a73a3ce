"""Soft masks at prototype size → masks at image size."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from yolact_bench.geometry.device_masks import device_pixels, kernel_fault, note_slow_path

# Ceiling for what upsampling holds at once beyond its result: 100 masks of a 12-megapixel photo
# would be 4.8 GB as floats.
WORKING_BYTES = 48 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRegion:
    """The only part of one image-sized mask that may be set; all else is False."""

    top: int
    left: int
    mask: Bool[Tensor, "rows columns"]


def mask_regions(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> Iterator[MaskRegion]:
    """Yield each mask at image size, cut to the region that can be above the threshold.

    A bilinear value lies between its four neighbours, so a pixel all of whose neighbours are at
    or below the threshold is False without being computed. On a CPU this is what makes masks of
    large photos affordable; a full mask is a region pasted into zeros.

    Source: bilinear, half-pixel centres, as torch's `interpolate` without align_corners. Pixels
    may differ from it where the upsampled value ties with the threshold to the last bit or two.
    """
    above = soft_masks > threshold
    rows = _extents(above.any(2), height)
    columns = _extents(above.any(1), width)
    for mask, (top, bottom), (left, right) in zip(soft_masks, rows, columns, strict=True):
        region = torch.empty((bottom - top, right - left), dtype=torch.bool, device=mask.device)
        if region.numel():
            _upsample_into(region, mask, (top, left), threshold, height=height, width=width)
        yield MaskRegion(top=top, left=left, mask=region)


def upsample(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> Bool[Tensor, "N H W"]:
    """Return all masks at image size: N·H·W bytes, plus at most `WORKING_BYTES` on the way.

    Pixel = value > threshold, bilinear, align_corners off. Where not all masks are needed at once,
    `mask_regions` holds less. On a GPU one kernel writes the result alone; what it cannot do goes
    another way, with a note in the log.

    Source: dbolya/yolact@902073d layers/output_utils.py, `postprocess`. There, all masks of an
    image are floats of the image's size at once.
    """
    if soft_masks.is_cuda:
        fault = kernel_fault(soft_masks, height, width)
        if not fault:
            return device_pixels(soft_masks, height, width, threshold=threshold)
        note_slow_path(fault)
    count, size = len(soft_masks), (height, width)
    if soft_masks.device.type == "cpu":
        masks = torch.zeros((count, *size), dtype=torch.bool)
        regions = mask_regions(soft_masks, height, width, threshold=threshold)
        for mask, region in zip(masks, regions, strict=True):
            rows, columns = region.mask.shape
            mask[region.top : region.top + rows, region.left : region.left + columns] = region.mask
        return masks
    # One kernel for many masks beats one region each: launches cost more than pixels here.
    masks = torch.empty((count, *size), dtype=torch.bool, device=soft_masks.device)
    step = max(1, WORKING_BYTES // (5 * height * width))  # of a float and a boolean each
    for start in range(0, count, step):
        part = soft_masks[start : start + step]
        whole = F.interpolate(part[None], size=size, mode="bilinear", align_corners=False)
        masks[start : start + step] = whole[0] > threshold
    return masks


def _extents(occupied: Bool[Tensor, "N cells"], size: int) -> list[tuple[int, int]]:
    """Return, per mask, the pixels that have an occupied cell among their neighbours."""
    cells = occupied.shape[1]
    first = occupied.int().argmax(1).tolist()
    last = (cells - 1 - occupied.flip(1).int().argmax(1)).tolist()
    pixels = size / cells
    extents = []
    for low, high, any_cell in zip(first, last, occupied.any(1).tolist(), strict=True):
        # Cell centres are at (cell + 0.5)·pixels; an occupied cell reaches one cell further on
        # either side. One pixel more, against rounding.
        start = 0 if low == 0 else max(0, int((low - 0.5) * pixels - 0.5) - 1)
        stop = size if high == cells - 1 else min(size, int((high + 1.5) * pixels - 0.5) + 2)
        extents.append((start, stop) if any_cell else (0, 0))
    return extents


def _upsample_into(
    region: Bool[Tensor, "rows columns"],
    soft_mask: Float[Tensor, "h w"],
    top_left: tuple[int, int],
    threshold: float,
    *,
    height: int,
    width: int,
) -> None:
    """Fill `region`, whose first pixel is `top_left` of an image; across, then down in strips."""
    rows, columns = region.shape
    left, right, weight = _neighbours(soft_mask.shape[1], width, top_left[1], columns)
    weight = weight.to(soft_mask)
    wide = soft_mask[:, left] * (1 - weight) + soft_mask[:, right] * weight  # [h, columns]
    above, below, weight = _neighbours(soft_mask.shape[0], height, top_left[0], rows)
    weight = weight.to(soft_mask)[:, None]
    # Four float temporaries of a strip live at once.
    strip = max(1, WORKING_BYTES // (4 * wide.element_size() * columns))
    for start in range(0, rows, strip):
        part = slice(start, start + strip)
        value = wide[above[part]] * (1 - weight[part])
        value += wide[below[part]] * weight[part]
        torch.gt(value, threshold, out=region[part])


def _neighbours(cells: int, size: int, start: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for `count` pixels from `start`, both neighbouring cells and the second's weight."""
    # In float32 like torch's own kernel: the same rounding gives the same pixels.
    scale = torch.tensor(cells, dtype=torch.float32) / size
    pixel = torch.arange(start, start + count, dtype=torch.float32)
    place = (scale * (pixel + 0.5) - 0.5).clamp(min=0)
    first = place.long().clamp(max=cells - 1)
    second = (first + 1).clamp(max=cells - 1)
    return first, second, (place - first).clamp(0, 1)
