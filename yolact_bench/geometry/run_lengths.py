"""Soft masks at prototype size → COCO's run lengths at image size, without the pixels between."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from yolact_bench.geometry.device_masks import Int64, device_toggles, kernel_fault, note_slow_path
from yolact_bench.geometry.mask_changes import host_toggles


def mask_run_lengths(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> list[str]:
    """Return each mask at image size as the `counts` text of COCO's result format.

    The pixels are those of `mask_regions`, from the same float32 products and sums. Columns are
    interpolated between cells; down a column the value is linear from one cell to the next, so
    the mask can change there only where one of the two is above the threshold and the other is
    not, and pixels are computed nowhere else. No mask depends on which others are given.

    On a GPU its kernels find where the masks change, and only that comes to the host; the text is
    the same. What they cannot do is done on the host, with a note in the log.

    Source: bilinear, half-pixel centres, as torch's `interpolate` without align_corners. Pixels
    may differ from it where the upsampled value ties with the threshold to the last bit or two.
    """
    return mask_toggles(soft_masks, height, width, threshold=threshold).texts()


@dataclass(frozen=True, slots=True)
class Toggles:
    """Where some masks change, read down the columns: all that their run lengths depend on.

    A toggle is a pixel, numbered down the columns, from which on a mask is the opposite of what
    it was. They come sorted by owner and place. Two in one place undo each other.
    """

    owner: Int64  # number of the mask
    place: Int64  # number of the pixel
    count: int  # masks
    size: int  # pixels of each

    def texts(self) -> list[str]:
        """Return each mask as the `counts` text of COCO's result format.

        Source: pycocotools, common/maskApi.c, `rleToString`: differences to the count before the
        last, five bits a character, least significant first.
        """
        toggles = self.owner * (self.size + 1) + self.place
        # What toggles at the end has no pixel to change.
        effective = _occurs_oddly(toggles) & (self.place < self.size)
        owner, place = self.owner[effective], self.place[effective]
        # All counts of all masks in one row: a mask's bounds are 0, its toggles and its size.
        per_mask = np.bincount(owner, minlength=self.count)
        ends = np.cumsum(per_mask + 1)
        bounds = np.full(len(place) + self.count, self.size, np.int64)
        bounds[np.arange(len(place)) + owner] = place
        first = np.zeros(len(bounds), bool)
        first[ends - per_mask - 1] = True
        before = np.where(first, 0, np.concatenate(([0], bounds[:-1])))
        counts = bounds - before
        rank = np.arange(len(counts)) - np.repeat(ends - per_mask - 1, per_mask + 1)
        code = counts.copy()
        code[2:] -= np.where(rank[2:] > 2, counts[:-2], 0)
        text, digits = _digits(code)
        stops = np.cumsum(digits)[ends - 1].tolist()
        return [text[a:b] for a, b in zip([0, *stops], stops, strict=False)]


def mask_toggles(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> Toggles:
    """Return, on the host, where each mask at image size changes, as `mask_run_lengths` says."""
    size = len(soft_masks), height * width
    if soft_masks.is_cuda:
        fault = kernel_fault(soft_masks, height, width)
        if not fault:
            return Toggles(*device_toggles(soft_masks, height, width, threshold=threshold), *size)
        note_slow_path(fault)
    soft = soft_masks.detach().cpu().numpy()
    return Toggles(*host_toggles(soft, height, width, threshold=threshold), *size)


def _occurs_oddly(ordered: Int64) -> NDArray[np.bool_]:
    """Return which of the sorted numbers stand for those that occur an odd number of times."""
    if len(ordered) == 0:
        return np.zeros(0, bool)
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    if first.all():
        return first
    starts = np.flatnonzero(first)
    times = np.diff(np.concatenate((starts, [len(ordered)])))
    odd = np.zeros(len(ordered), bool)
    odd[starts] = times % 2 == 1
    return odd


def _digits(code: Int64) -> tuple[str, Int64]:
    """Return all numbers as text, one behind the other, and how many characters each has."""
    # Five bits and a sign bit above the last: 7 characters hold 2^34 pixels.
    size = np.where(code < 0, ~code, code)
    digits = np.ones(len(code), np.int64)
    bound = 1 << 4
    while (longer := size >= bound).any():
        digits += longer
        bound <<= 5
    ends = digits.cumsum()
    text = np.empty(ends[-1] if len(ends) else 0, np.uint8)
    going_on, place = np.arange(len(code)), 0
    while len(going_on):
        left = digits[going_on] - 1 - place
        low = (code[going_on] >> 5 * place) & 31
        text[ends[going_on] - 1 - left] = low + np.where(left > 0, 80, 48)
        going_on, place = going_on[left > 0], place + 1
    return text.tobytes().decode("ascii"), digits
