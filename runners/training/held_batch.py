"""A batch in memory that stays where it is, where a recorded step looks for its input."""

from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from yolact_bench.data.collate import Batch
from yolact_bench.shapes import Target, Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many objects there is memory for."""

    of_image: int  # a column each in tables of objects
    of_batch: int  # a mask each

    @staticmethod
    def for_images(number: int) -> "Room":
        """Return twice as much as COCO's images need, which have 7 objects in the mean, and 64."""
        return Room(of_image=64, of_batch=max(64, 16 * number))


class HeldBatch:
    """A batch with as many objects as there is room for.

    Crowds without area stand for those that are not there, as in `PaddedObjects`: nothing matches
    them, they excuse no anchor, and they are no part of a semantic map. They lie behind the others,
    whatever their image, so the targets cannot be taken image by image.
    """

    def __init__(self, like: Batch, room: Room, device: torch.device) -> None:
        """Make room for batches with images and masks of the same size."""
        self._room, size = room, room.of_batch
        masks = like.targets.objects.masks
        objects = Target(
            boxes=torch.zeros(size, 4, device=device),
            labels=torch.zeros(size, dtype=torch.int64, device=device),
            masks=torch.zeros((size, *masks.shape[1:]), dtype=masks.dtype, device=device),
            is_crowd=torch.ones(size, dtype=torch.bool, device=device),
        )
        self.batch = Batch(
            images=torch.zeros_like(like.images, device=device),
            targets=Targets(
                objects=objects,
                counts=(room.of_image,) * len(like),
                places=torch.zeros(2, size, dtype=torch.int64, device=device),
            ),
        )

    def fault(self, batch: Batch) -> str:
        """Return why there is no room for a batch; "" where there is."""
        static, counts = self.batch, batch.targets.counts
        masks, room = (b.targets.objects.masks.shape[1:] for b in (batch, static)), self._room
        if batch.images.shape != static.images.shape or len(set(masks)) > 1:
            return "images or masks are of another size"
        if max(counts) > room.of_image:
            return f"{max(counts)} objects in an image are more than {room.of_image}"
        if sum(counts) > room.of_batch:
            return f"{sum(counts)} objects in a batch are more than {room.of_batch}"
        return ""

    def take(self, batch: Batch) -> None:
        """Copy a batch of this device here, for which there is room; the host does not wait."""
        static, targets = self.batch, batch.targets
        objects, spare = targets.objects, self._room.of_batch - len(targets.objects.labels)
        copies = {
            static.images: batch.images,
            static.targets.objects.boxes: F.pad(objects.boxes, (0, 0, 0, spare)),
            static.targets.objects.labels: F.pad(objects.labels, (0, spare)),
            static.targets.objects.is_crowd: F.pad(objects.is_crowd, (0, spare), value=True),
            static.targets.places: torch.cat([targets.places, self._free(targets, spare)], dim=1),
            # Masks of earlier batches behind these belong to crowds.
            static.targets.objects.masks[: len(objects.masks)]: objects.masks,
        }
        for there, tensor in copies.items():
            there.copy_(tensor)

    def _free(self, targets: Targets, number: int) -> Tensor:
        """Return places of tables that no object has, [2, number]."""
        columns, counts = range(self._room.of_image), targets.counts
        free = ((image, row) for image, count in enumerate(counts) for row in columns[count:])
        places = torch.tensor(list(islice(free, number)), dtype=torch.int64).view(number, 2)
        if targets.places.is_cuda:
            places = places.pin_memory()  # else the host waits
        return places.to(targets.places.device, non_blocking=True).T
