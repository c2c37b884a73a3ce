"""Photos of a batch in one piece of memory, so that one copy brings them to the device."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from yolact_bench.triton_kernel import INTERPRETED

# Photos of a batch have so many pixels together, times their number up to some: 12 MB for one.
PIXELS = 2**22
MOST_SHARES = 8
# Of each photo: the place of its first byte in the block, its height, its width, and nothing.
_HEADER = 4
_PIXELS_BLOCK = 1024 if INTERPRETED else 128
Photo: TypeAlias = NDArray[np.uint8]
# Makes the network's input of a block, from the arguments of `resize_by_kernel`.
Resize: TypeAlias = Callable[[Tensor, int, int, Tensor, Tensor, torch.dtype], Tensor]


class Staging:
    """A block of bytes on the device, and one on the host in which it is made ready.

    First the header of every photo, then their pixels one after another. The host's is pinned
    where the device is a GPU, so that copies do not wait; it may be written again as soon as the
    device has done what followed the last copy.
    """

    def __init__(self, images: int, device: torch.device) -> None:
        self.images = images
        self._start = 4 * _HEADER * images
        size = self._start + 3 * PIXELS * min(images, MOST_SHARES)
        self._host = torch.zeros(size, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._bytes: NDArray[Any] = self._host.numpy()
        self.block = torch.zeros(size, dtype=torch.uint8, device=device)

    def fits(self, sizes: Sequence[tuple[int, int]]) -> bool:
        """Return whether photos of these heights and widths fit into the block."""
        return self._start + 3 * sum(h * w for h, w in sizes) <= len(self._bytes)

    def room(self, height: int, width: int) -> Photo:
        """Return where the first photo of the next batch lies on the host."""
        return self._room(self._start, height, width)

    def upload(self, photos: Sequence[Photo]) -> None:
        """Copy photos [H, W, 3] into the block, first on the host those that do not lie there."""
        header = self._bytes[: self._start].view(np.int32).reshape(self.images, _HEADER)
        start = self._start
        for index, photo in enumerate(photos):
            height, width = photo.shape[:2]
            room = self._room(start, height, width)
            if room.__array_interface__ != photo.__array_interface__:  # not the same memory
                np.copyto(room, photo)
            header[index] = start, height, width, 0
            start += room.size
        self.block[:start].copy_(self._host[:start], non_blocking=True)

    def _room(self, start: int, height: int, width: int) -> Photo:
        room: Photo = self._bytes[start : start + 3 * height * width].reshape(height, width, 3)
        return room


def header_of(block: UInt8[Tensor, " bytes"], images: int) -> Int32[Tensor, "B 4"]:
    """Return place, height and width of each photo of a block."""
    return block[: 4 * _HEADER * images].view(torch.int32).view(images, _HEADER)


def resize_by_kernel(
    block: UInt8[Tensor, " bytes"],
    images: int,
    side: int,
    mean: Float[Tensor, "3 1 1"],
    std: Float[Tensor, "3 1 1"],
    dtype: torch.dtype,
) -> Float[Tensor, "B 3 S S"]:
    """Return the photos of a block, resized and normalised, channels last and in a precision.

    What `Detector.preprocess` makes of them, up to rounding; no size is read by the host, so one
    recording serves photos of all sizes.
    """
    from yolact_bench.detect.kernels.resize_kernel import resize_normalise

    out = torch.empty(images, side, side, 3, dtype=dtype, device=block.device)
    grid = (side, -(-side // _PIXELS_BLOCK), images)
    resize_normalise[grid](
        *(block, header_of(block, images), mean, std, out),
        side=side,
        pixels_block=_PIXELS_BLOCK,
    )
    return out.permute(0, 3, 1, 2)
