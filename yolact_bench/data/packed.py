"""The objects and images of an annotation file, in flat arrays that processes can share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from yolact_bench.coco_file.columns import (
    Column,
    Columns,
    Flags,
    Floats,
    Ints,
    Shapes,
    whole_numbers,
)
from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.data.objects import Objects, Polygons, from_run_lengths

P = TypeVar("P", "PackedObjects", "PackedImages")

_ENCODING = "utf-8", "surrogatepass"  # JSON can write half a pair


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedObjects:
    """N objects in the order of their file, and which of them each of I images has.

    An object is the union of its polygons, or its run lengths; it has only one of the two.
    """

    ids: Column  # [N]
    rows: Ints  # [N], of its image
    labels: Ints  # [N]
    is_crowd: Flags  # [N]
    is_ignored: Flags  # [N], by scoring
    boxes: Floats  # [N, 4], x, y, width and height in px
    areas: Floats  # [N], px²
    polygons: Ints  # [N, 2], the first in `ends` and the one behind the last
    runs: Ints  # [N, 2], the first in `lengths` and the one behind the last
    ends: Ints  # [P + 1]: polygon p is coordinates[ends[p] : ends[p + 1]]
    coordinates: Floats  # x, y, x, y, … in px, as the file has them
    lengths: NDArray[np.int32]  # of runs of pixels, down the columns, zeros first
    order: Ints  # [N], objects by image, crowds last
    starts: Ints  # [I + 1]: those of image i are order[starts[i] : starts[i + 1]]

    def __len__(self) -> int:
        return len(self.labels)

    def of_image(self, index: int, height: int, width: int) -> Objects:
        """Return the objects of an image of this size, crowds last."""
        places = self.order[self.starts[index] : self.starts[index + 1]]
        boxes = self.boxes[places]
        boxes[:, 2:] += boxes[:, :2]
        polygons = self.polygons[places]
        numbers = self.ends[polygons]  # from where to where its coordinates are, [n, 2]
        segments = [
            self._polygons(start, stop, span) if stop > start else None
            for (start, stop), span in zip(numbers.tolist(), polygons.tolist(), strict=True)
        ]
        return Objects(
            boxes_px=boxes,
            labels=self.labels[places],
            segments=tuple(
                from_run_lengths(self.run_lengths(place), height, width) if one is None else one
                for one, place in zip(segments, places.tolist(), strict=True)
            ),
            is_crowd=self.is_crowd[places],
            height=height,
            width=width,
        )

    def outlines(self, place: int) -> tuple[Floats, ...]:
        """Return the polygons of an object, flat; none if it has run lengths."""
        first, end = self.polygons[place].tolist()
        ends = self.ends[first : end + 1].tolist()
        return tuple(self.coordinates[start:stop] for start, stop in pairwise(ends))

    def run_lengths(self, place: int) -> NDArray[np.int32]:
        """Return the run lengths of an object; none if it has polygons."""
        first, end = self.runs[place].tolist()
        return self.lengths[first:end]

    def _polygons(self, start: int, stop: int, span: Sequence[int]) -> Polygons:
        # Networks have learnt from coordinates of this precision.
        drawn = self.coordinates[start:stop].astype(np.float32)
        points = drawn.astype(np.float64).reshape(-1, 2)
        first, end = span
        if end - first == 1:
            return (points,)
        places = ((self.ends[first : end + 1] - start) // 2).tolist()
        return tuple(points[one:other] for one, other in pairwise(places))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedImages(Sequence[ImageEntry]):
    """The images of a file, each made when it is looked at."""

    image_ids: Column  # [I], whole numbers
    sizes: Column  # [I, 2], height and width in px
    names: NDArray[np.uint8]  # letters of all file names
    name_ends: Ints  # [I + 1]: name i is names[name_ends[i] : name_ends[i + 1]]

    def __len__(self) -> int:
        return len(self.image_ids)

    @overload
    def __getitem__(self, index: int) -> ImageEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[ImageEntry]: ...
    def __getitem__(self, index: int | slice) -> ImageEntry | list[ImageEntry]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        start, stop = self.name_ends[at : at + 2].tolist()
        height, width = self.sizes[at].tolist()
        name = self.names[start:stop].tobytes().decode(*_ENCODING)
        return ImageEntry(int(self.image_ids[at]), name, height, width)

    def __iter__(self) -> Iterator[ImageEntry]:
        letters, ends = self.names.tobytes(), self.name_ends.tolist()
        for at, (number, (height, width)) in enumerate(
            zip(self.image_ids.tolist(), self.sizes.tolist(), strict=True)
        ):
            name = letters[ends[at] : ends[at + 1]].decode(*_ENCODING)
            yield ImageEntry(number, name, height, width)


def pack_objects(columns: Columns, shapes: Shapes, num_images: int) -> PackedObjects:
    """Return the objects of columns that have labels for categories."""
    shapes, columns = shapes.of(columns)
    counts = np.bincount(columns.rows, minlength=num_images)
    return PackedObjects(
        ids=columns.ids,
        rows=columns.rows,
        labels=columns.categories,
        is_crowd=columns.is_crowd,
        is_ignored=columns.is_ignored,
        boxes=columns.boxes,
        areas=columns.areas,
        polygons=columns.polygons,
        runs=columns.runs,
        ends=shapes.ends,
        coordinates=shapes.coordinates,
        lengths=shapes.lengths,
        order=np.lexsort((columns.is_crowd, columns.rows)),
        starts=np.concatenate(([0], np.cumsum(counts))),
    )


def pack_images(images: Sequence[ImageEntry]) -> PackedImages:
    """Return the images of a list."""
    names = [image.file_name.encode(*_ENCODING) for image in images]
    return PackedImages(
        image_ids=whole_numbers([image.id for image in images]),
        sizes=np.reshape(
            whole_numbers([n for one in images for n in (one.height, one.width)]), (-1, 2)
        ),
        names=np.frombuffer(b"".join(names), np.uint8),
        name_ends=np.concatenate(([0], np.cumsum([len(name) for name in names], dtype=np.int64))),
    )


def unpack(kind: type[P], arrays: Mapping[str, Column]) -> P:
    """Return what has some of these arrays as its fields."""
    return kind(**{field.name: arrays[field.name] for field in fields(kind)})


def arrays_of(packed: PackedObjects | PackedImages) -> Mapping[str, NDArray[Any]]:
    """Return the fields by name."""
    return {field.name: getattr(packed, field.name) for field in fields(packed)}
