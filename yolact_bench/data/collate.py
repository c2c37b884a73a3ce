"""Samples as one batch: put together where they are, or to be sent from a worker."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from yolact_bench.shapes import Sample, Targets
from yolact_bench.torch_internals import shared_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of one training step."""

    images: UInt8[Tensor, "B S S 3"]  # RGB; normalised on the device
    targets: Targets  # in one piece: a few large copies to the device, not many small
    # Height and width of masks on their way, which are bits until then: [M, 1, bytes].
    mask_shape: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device | str) -> "Batch":
        """Return the same batch on `device`, its masks 0 or 1."""
        there = self._each(lambda tensor: tensor.to(device, non_blocking=True))
        if self.mask_shape is None:
            return there
        masks = unpack_bits(there.targets.objects.masks, *self.mask_shape)
        return replace(there, targets=_with_masks(there.targets, masks), mask_shape=None)

    def pin_memory(self) -> "Batch":
        """Return the same batch in page-locked memory. The loader calls this."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return replace(self, images=change(self.images), targets=self.targets.each(change))


def collate(samples: Sequence[Sample], join: Callable[[list[Tensor]], Tensor] = torch.cat) -> Batch:
    """Return the samples as one batch, put together by `join`."""
    images = join([sample.image for sample in samples])
    return Batch(
        images=images.reshape(len(samples), *samples[0].image.shape),
        targets=Targets.of([sample.target for sample in samples], join),
    )


def collate_to_send(samples: Sequence[Sample]) -> Batch:
    """Return the same for another process, which has to call `to`: masks are bits.

    Masks are most of a batch. An eighth of them is less to write, to map and to copy to a device.
    """
    height, width = samples[0].target.masks.shape[1:]
    packed = [
        replace(one, target=replace(one.target, masks=_pack_bits(one.target.masks)))
        for one in samples
    ]
    return replace(collate(packed, join_in_shared_memory), mask_shape=(height, width))


def join_in_shared_memory(parts: Sequence[Tensor]) -> Tensor:
    """Return the parts one after the other, written to where another process reads them.

    Sent from ordinary memory, they would be copied there again.
    """
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    num_bytes = math.prod(shape) * parts[0].element_size()
    if num_bytes == 0:
        return torch.cat(list(parts))
    storage = shared_storage(num_bytes)  # as torch's own collation has it
    shared = parts[0].new_empty(0).set_(storage, 0, shape)  # type: ignore[call-overload]
    return torch.cat(list(parts), out=shared)


def _pack_bits(masks: UInt8[Tensor, "N h w"]) -> UInt8[Tensor, "N 1 bytes"]:
    """Return the cells of each mask as bits, row by row, the first the highest of its byte."""
    cells = masks.numpy().reshape(len(masks), 1, math.prod(masks.shape[1:]))
    return torch.from_numpy(np.packbits(cells, axis=2))


def unpack_bits(
    bits: UInt8[Tensor, "N 1 bytes"], height: int, width: int
) -> UInt8[Tensor, "N {height} {width}"]:
    """Return the masks, on the device of their bits; the host does not wait for it."""
    if bits.device.type == "cpu":
        cells = np.unpackbits(bits.numpy(), axis=2, count=height * width)
        return torch.from_numpy(cells.reshape(len(bits), height, width))
    return unpack_by_shifts(bits, height, width)


def unpack_by_shifts(
    bits: UInt8[Tensor, "N 1 bytes"], height: int, width: int
) -> UInt8[Tensor, "N {height} {width}"]:
    """Return the masks by operators that every device has."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    cells = (bits[:, 0, :, None] >> shifts).bitwise_and_(1).flatten(1)
    return cells[:, : height * width].view(len(bits), height, width)


def _with_masks(targets: Targets, masks: UInt8[Tensor, "M h w"]) -> Targets:
    return replace(targets, objects=replace(targets.objects, masks=masks))
