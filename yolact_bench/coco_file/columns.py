"""The usable annotations of a file, column by column, and the shapes of their masks."""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolact_bench.coco_file.entry import Entry
from yolact_bench.coco_file.segmentation import Outlines

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Column = NDArray[Any]


class Object(NamedTuple):
    """An annotation that can be used, and where it belongs."""

    place: int  # in the file
    id: int | None  # None until a free number is known for it
    row: int  # of its image
    label: int
    entry: Entry


class Columns(NamedTuple):
    """A row for each of n annotations, in the order of the file."""

    places: Ints  # in the file
    ids: Column  # whole numbers; Python's own where one is too large for the machine's
    rows: Ints  # of its image
    categories: Column  # ids as `ids`, or labels
    is_crowd: Flags
    is_ignored: Flags  # by scoring
    boxes: Floats  # [n, 4], x, y, width and height in px
    raw_boxes: Floats  # [n, 4], four numbers of the file, whatever they mean; or not-a-number
    extents: Floats  # [n, 4], corners around what of the mask is in the image, px
    areas: Floats  # px²
    mask_areas: Floats  # px²
    polygons: Ints  # [n, 2], the first in `Shapes.ends` and the one behind the last
    runs: Ints  # [n, 2], the first in `Shapes.lengths` and the one behind the last

    def of(self, chosen: NDArray[Any]) -> "Columns":
        """Return some of the rows: those of flags, or of places."""
        return Columns(*(column[chosen] for column in self))


class Shapes(NamedTuple):
    """Polygons and run lengths of many masks, one behind the other."""

    ends: Ints  # [P + 1]: polygon p is coordinates[ends[p] : ends[p + 1]]
    coordinates: Floats  # x, y, x, y, … in px, as the file has them
    lengths: NDArray[np.int32]  # of runs of pixels, down the columns, zeros first

    def of(self, columns: Columns) -> tuple["Shapes", Columns]:
        """Return what these columns need, and the columns with their places there."""
        part, place = _keep(columns.polygons, len(self.ends) - 1)
        run, length = _keep(columns.runs, len(self.lengths))
        sizes = np.diff(self.ends)
        kept = Shapes(
            np.concatenate(([0], np.cumsum(sizes[part]))),
            self.coordinates if part.all() else self.coordinates[np.repeat(part, sizes)],
            self.lengths[run],
        )
        return kept, columns._replace(polygons=place[columns.polygons], runs=length[columns.runs])


class ShapePool:
    """Collects shapes; what they need of memory grows with them and is never held twice."""

    def __init__(self) -> None:
        self._ends, self._coordinates, self._lengths = array("q", [0]), array("d"), array("i")

    def add(self, outlines: Outlines) -> tuple[tuple[int, int], tuple[int, int]]:
        """Add one mask; return the spans of its polygons and of its run lengths."""
        first, start = len(self._ends) - 1, len(self._lengths)
        if isinstance(outlines, tuple):
            self.add_polygons(np.array([len(one) for one in outlines]), np.concatenate(outlines))
        else:
            self._lengths.frombytes(outlines.astype(np.int32).tobytes())
        return (first, len(self._ends) - 1), (start, len(self._lengths))

    def add_polygons(self, sizes: NDArray[np.integer], coordinates: Floats) -> int:
        """Add polygons of so many numbers each; return the place of the first."""
        first = len(self._ends) - 1
        self._ends.frombytes((self._ends[-1] + np.cumsum(sizes, dtype=np.int64)).tobytes())
        self._coordinates.frombytes(coordinates.tobytes())
        return first

    def shapes(self) -> Shapes:
        """Return all of them; nothing can be added any more."""
        arrays = (self._ends, self._coordinates, self._lengths)
        return Shapes(*map(np.asarray, arrays))


def columns_of(objects: Sequence[Object], pool: ShapePool) -> Columns:
    """Return the columns of objects, their shapes being added to the pool."""
    entries = [one.entry for one in objects]
    spans = np.array([pool.add(one.outlines) for one in entries], np.int64).reshape(-1, 2, 2)
    missing = (np.nan,) * 4
    return Columns(
        places=np.array([one.place for one in objects], np.int64),
        ids=whole_numbers([one.id or 0 for one in objects]),
        rows=np.array([one.row for one in objects], np.int64),
        categories=np.array([one.label for one in objects], np.int64),
        is_crowd=np.array([one.is_crowd for one in entries], bool),
        is_ignored=np.array([one.is_ignored for one in entries], bool),
        boxes=np.array([one.box for one in entries], np.float64).reshape(-1, 4),
        raw_boxes=np.array([one.raw_box or missing for one in entries]).reshape(-1, 4),
        extents=np.array([one.extent for one in entries], np.float64).reshape(-1, 4),
        areas=np.array([one.area for one in entries], np.float64),
        mask_areas=np.array([one.mask_area for one in entries], np.float64),
        polygons=spans[:, 0],
        runs=spans[:, 1],
    )


def join(parts: Sequence[Columns]) -> Columns:
    """Return the rows of all, in the order of the file."""
    columns = Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.argsort(columns.places, kind="stable")
    return columns if (np.diff(order) == 1).all() else columns.of(order)


def spans(counts: NDArray[np.integer]) -> Ints:
    """Return where each of consecutive spans of these lengths begins and ends, [n, 2]."""
    ends = np.cumsum(counts, dtype=np.int64)
    return np.stack((ends - counts, ends), axis=1)


def whole_numbers(values: Sequence[int]) -> Column:
    """Return an array of whole numbers of any size."""
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array(values, dtype=object)


def _keep(used: Ints, total: int) -> tuple[Flags, Ints]:
    """Return which of `total` things these spans use, and the new place of each, [total + 1]."""
    changes = np.bincount(used[:, 0], minlength=total + 1) - np.bincount(
        used[:, 1], minlength=total + 1
    )
    keep = np.cumsum(changes)[:total] > 0
    return keep, np.concatenate(([0], np.cumsum(keep)))
