"""Many annotations at once, as far as they are plainly clean; the rest is left to `read_entry`.

One file: what is taken for clean here must be what `read_entry` reads without a finding.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from yolact_bench.coco_content import TextEntries
from yolact_bench.coco_file.columns import (
    Columns,
    Flags,
    Floats,
    ShapePool,
    join,
    spans,
    whole_numbers,
)
from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.coco_file.segmentation import (
    FARTHEST_PX,
    FEWEST_NUMBERS,
    LARGEST,
    SMALLEST_SIDE_PX,
    Mask,
    UnusableError,
    decompress,
    run_extent,
)

_CHUNK = 512  # annotations: their numbers fit into a processor's cache
_LONGEST = 2**31 - 1  # run
_FLAT_PX2 = 1e-3  # less may be rounding of an outline without area


class _Runs(msgspec.Struct, gc=False):
    counts: list[Annotated[int, msgspec.Meta(ge=0, le=_LONGEST)]] | str
    size: tuple[int, int]


class _Plain(msgspec.Struct, gc=False):
    """An annotation whose values have the types of COCO's own files."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    segmentation: list[list[float]] | _Runs
    area: float
    iscrowd: int = 0
    ignore: int = 0


_DECODER = msgspec.json.Decoder(_Plain)


class PlainEntries(NamedTuple):
    """The annotations of a file that are clean, and the places of the others."""

    columns: Columns  # with the ids of categories
    others: list[int]


class _Images(NamedTuple):
    rows: Mapping[int, int]  # by image id
    sizes: Floats  # [I, 2], width and height in px


def read_plain(
    entries: Sequence[Any], images: Sequence[ImageEntry], pool: ShapePool
) -> PlainEntries:
    """Return what is clean of the annotations of a file; their shapes are added to a pool.

    Entries are Python's objects or their text, as `TextEntries` have it.
    """
    given = entries.texts if isinstance(entries, TextEntries) else entries
    table = _Images(
        {entry.id: row for row, entry in enumerate(images)},
        np.array([(entry.width, entry.height) for entry in images], np.float64).reshape(-1, 2),
    )
    parts = [_rows((), (), table)]
    for start in range(0, len(entries), _CHUNK):
        outlines: list[_Plain] = []
        runs: list[_Plain] = []
        places: tuple[list[int], list[int]] = [], []
        for place, entry in enumerate(given[start : start + _CHUNK], start):
            one = _decode(entry)
            if one is not None:
                has_runs = isinstance(one.segmentation, _Runs)
                (runs if has_runs else outlines).append(one)
                places[has_runs].append(place)
        parts += [
            _settle(outlines, places[0], table, pool, _outline_masks),
            _settle(runs, places[1], table, pool, _run_masks),
        ]
    columns = join(parts)
    is_plain = np.zeros(len(entries), dtype=bool)
    is_plain[columns.places] = True
    return PlainEntries(columns, np.flatnonzero(~is_plain).tolist())


def _decode(entry: object) -> _Plain | None:
    try:
        raw = isinstance(entry, msgspec.Raw)
        one = _DECODER.decode(entry) if raw else msgspec.convert(entry, _Plain)  # type: ignore[arg-type]
    except (msgspec.MsgspecError, ValueError, RecursionError):  # not a ValueError before 0.21
        return None
    return one if one.iscrowd in (0, 1) else None


def _settle(
    plain: Sequence[_Plain],
    places: Sequence[int],
    table: _Images,
    pool: ShapePool,
    masks: "_Masks",
) -> Columns:
    """Return the rows of the clean ones, their shapes being in the pool."""
    while True:
        rows = _rows(plain, places, table)
        good = _are_right(rows, table)
        if good.all():
            rows, good, add = masks(plain, rows, table.sizes[rows.rows])
            if good.all():
                return add(pool, rows)
        chosen = np.flatnonzero(good).tolist()
        plain, places = [plain[at] for at in chosen], [places[at] for at in chosen]


def _rows(plain: Sequence[_Plain], places: Sequence[int], table: _Images) -> Columns:
    """Return the rows of annotations, without what comes of their masks."""
    number = len(plain)
    boxes = np.array([one.bbox for one in plain], dtype=np.float64).reshape(-1, 4)
    return Columns(
        places=np.array(places, dtype=np.int64),
        ids=whole_numbers([one.id for one in plain]),
        rows=np.array([table.rows.get(one.image_id, -1) for one in plain], dtype=np.int64),
        categories=whole_numbers([one.category_id for one in plain]),
        is_crowd=np.array([one.iscrowd == 1 for one in plain], dtype=bool),
        is_ignored=np.array([one.ignore != 0 for one in plain], dtype=bool),
        boxes=boxes,
        raw_boxes=boxes,
        extents=np.zeros((number, 4)),
        areas=np.array([one.area for one in plain], dtype=np.float64),
        mask_areas=np.zeros(number),
        polygons=np.zeros((number, 2), np.int64),
        runs=np.zeros((number, 2), np.int64),
    )


def _are_right(rows: Columns, table: _Images) -> Flags:
    """Return which have an image, an area, and a box in the image."""
    has_area = (rows.areas > 0) & (rows.areas <= sys.float_info.max)
    low, sides = rows.boxes[:, :2], rows.boxes[:, 2:]
    sizes = table.sizes[rows.rows] if len(table.sizes) else np.zeros_like(low)
    return (
        (rows.rows >= 0)
        & has_area
        & (np.abs(rows.boxes) <= LARGEST).all(1)
        & (sides >= SMALLEST_SIDE_PX).all(1)
        & (low < sizes).all(1)
        & (low + sides > 0).all(1)
    )


_Add = Callable[[ShapePool, Columns], Columns]
# The rows with extents and areas, which of them are clean, and what adds their shapes.
_Masks = Callable[[Sequence[_Plain], Columns, Floats], tuple[Columns, Flags, _Add]]


def _outline_masks(
    plain: Sequence[_Plain], rows: Columns, sizes: Floats
) -> tuple[Columns, Flags, _Add]:
    parts = [part for one in plain for part in one.segmentation]  # type: ignore[union-attr]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    counts = np.array([len(one.segmentation) for one in plain], dtype=np.int64)  # type: ignore[arg-type]
    numbers = np.fromiter(chain.from_iterable(parts), np.float64, int(lengths.sum()))
    good = _are_polygons(counts, lengths, numbers)

    def add(pool: ShapePool, rows: Columns) -> Columns:
        return rows._replace(polygons=spans(counts) + pool.add_polygons(lengths, numbers))

    if len(plain) and good.all():
        extents, areas = _measure(counts, lengths, numbers)
        good = (extents[:, :2] < sizes).all(1) & (extents[:, 2:] > 0).all(1) & (areas > _FLAT_PX2)
        np.maximum(extents[:, :2], 0, out=extents[:, :2])
        np.minimum(extents[:, 2:], sizes, out=extents[:, 2:])
        rows = rows._replace(extents=extents, mask_areas=areas)
    return rows, good, add


def _are_polygons(counts: NDArray[np.int64], lengths: NDArray[np.int64], numbers: Floats) -> Flags:
    """Return which objects have one polygon or more, each of pairs of numbers that can be drawn."""
    owners = np.repeat(np.arange(len(counts)), counts)
    near = np.abs(numbers) <= FARTHEST_PX  # not-a-number is not
    faults = np.bincount(owners[(lengths < FEWEST_NUMBERS) | (lengths % 2 > 0)], None, len(counts))
    if not near.all():
        faults += np.bincount(np.repeat(owners, lengths)[~near], None, len(counts))
    return np.asarray((counts > 0) & (faults == 0))


def _measure(
    counts: NDArray[np.int64], lengths: NDArray[np.int64], numbers: Floats
) -> tuple[Floats, Floats]:
    """Return the corners around the polygons of each object, and their area in px²."""
    points = numbers.reshape(-1, 2)
    first, end = spans(lengths // 2).T
    objects = spans(counts)[:, 0]
    starts = first[objects]
    extents = np.hstack((np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)))
    drawn = points.astype(np.float32).astype(np.float64)
    relative = drawn - np.repeat(drawn[first], lengths // 2, axis=0)
    before = np.arange(-1, len(points) - 1)
    before[first] = end - 1
    (x, y), (x_before, y_before) = relative.T, relative[before].T
    doubles = np.add.reduceat(x * y_before - y * x_before, first)
    return extents, np.add.reduceat(np.abs(doubles) / 2, objects)


def _run_masks(
    plain: Sequence[_Plain], rows: Columns, sizes: Floats
) -> tuple[Columns, Flags, _Add]:
    either = [
        _run_mask(one.segmentation, int(width), int(height))  # type: ignore[arg-type]
        for one, (width, height) in zip(plain, sizes.tolist(), strict=True)
    ]
    masks = [mask for mask in either if mask is not None]
    good = np.array([mask is not None for mask in either], dtype=bool)

    def add(pool: ShapePool, rows: Columns) -> Columns:
        added = [pool.add(mask.outlines)[1] for mask in masks]
        return rows._replace(runs=np.array(added, np.int64).reshape(-1, 2))

    if good.all():
        extents = np.array([mask.extent for mask in masks], np.float64).reshape(-1, 4)
        areas = np.array([mask.area for mask in masks], np.float64)
        rows = rows._replace(extents=extents, mask_areas=areas)
    return rows, good, add


def _run_mask(runs: _Runs, width: int, height: int) -> Mask | None:
    try:
        numbers = decompress(runs.counts) if isinstance(runs.counts, str) else runs.counts
    except UnusableError:
        return None
    if not numbers or min(numbers) < 0 or max(numbers) > _LONGEST:
        return None
    counts = np.array(numbers, dtype=np.int64)
    is_whole = runs.size == (height, width) and counts.sum() == height * width
    if not is_whole or not (area := float(counts[1::2].sum())):
        return None
    return Mask(counts.astype(np.int32), area, run_extent(counts, height), ())
