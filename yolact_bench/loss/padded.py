"""The objects of a batch as one table, which a device takes in operations of fixed number."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from yolact_bench.shapes import Target, Targets, map_tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedObjects:
    """A row for each image, as long as the longest.

    What fills a row up is a crowd without area: nothing matches it, it excuses no anchor, and it
    is no part of a semantic map. So no other rule is needed for it.
    """

    boxes: Float32[Tensor, "B N 4"]
    labels: Int64[Tensor, "B N"]
    is_crowd: Bool[Tensor, "B N"]
    number: Int64[Tensor, "B N"]  # of each object in `objects`; 0 where there is none
    objects: Target  # of all images, one after the other; at least one
    image: Int64[Tensor, " M"]  # of each of `objects`


def pad_objects(targets: Targets) -> PaddedObjects:
    """Return the targets as a table; the host does not wait for a device."""
    objects, (image, row) = targets.objects, targets.places.unbind()
    if not any(targets.counts):
        objects, image, row = _one_crowd(objects), image.new_zeros(1), row.new_zeros(1)
    rows, columns = len(targets), max(1, *targets.counts)
    place = image * columns + row

    def table(values: Tensor, fill: int) -> Tensor:
        flat = values.new_full((rows * columns, *values.shape[1:]), fill)
        return flat.index_copy(0, place, values).view(rows, columns, *values.shape[1:])

    return PaddedObjects(
        boxes=table(objects.boxes, 0),
        labels=table(objects.labels, 0),
        is_crowd=table(objects.is_crowd, True),
        number=table(torch.arange(len(place), device=place.device), 0),
        objects=objects,
        image=image,
    )


def rows_of(table: Float[Tensor, "B N k"], row: Int64[Tensor, "B K"]) -> Float[Tensor, "B K k"]:
    """Return of each image's rows those that are numbered."""
    return table.gather(1, row[..., None].expand(-1, -1, table.shape[-1]))


def _one_crowd(nothing: Target) -> Target:
    """A crowd without area, so that tables of objects are never empty."""
    empty = map_tensors(nothing, lambda tensor: tensor.new_zeros((1, *tensor.shape[1:])))
    crowd = torch.ones_like(empty.is_crowd)
    return Target(boxes=empty.boxes, labels=empty.labels, masks=empty.masks, is_crowd=crowd)
