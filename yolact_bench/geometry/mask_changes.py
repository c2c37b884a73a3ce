"""Where soft masks change at image size, computed on the host at prototype size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolact_bench.geometry.device_masks import Int64

Float32 = NDArray[np.float32]

# Ceiling for the interpolated values that are looked at together.
WORKING_VALUES = 2**18


def host_toggles(
    soft: Float32, height: int, width: int, *, threshold: float
) -> tuple[Int64, Int64]:
    """Return number and pixel of each mask's changes, as `device_toggles` does on a GPU."""
    across = _grid(soft.shape[2], width)
    down = _grid(soft.shape[1], height)
    owners: list[Int64] = [np.empty(0, np.int64)]
    places: list[Int64] = [np.empty(0, np.int64)]
    for parts in _groups(_parts(soft, across, threshold)):
        changes = _changes(soft, parts, across, threshold)
        owners.append(changes.owner)
        places.append(changes.column * height + _first_pixels(changes, down, threshold))
    return np.concatenate(owners), np.concatenate(places)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the pixels of one axis lie between the cells."""

    cell: Int64  # [pixels] the cell before
    weight: Float32  # [pixels] of the cell after
    rest: Float32  # [pixels] of the cell before
    begin: Int64  # [cells + 1] the first pixel at or behind each cell
    # The same by cell, [most, cells + 1], with NaN where there is no pixel, as behind the last.
    weights: Float32
    rests: Float32


def _grid(cells: int, pixels: int) -> _Grid:
    # In float32 like torch's own kernel: the same rounding gives the same pixels.
    scale = np.float32(cells) / np.float32(pixels)
    place = scale * (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    place = np.maximum(place, np.float32(0))
    cell = np.minimum(place.astype(np.int64), cells - 1)
    weight = np.clip(place - cell.astype(np.float32), np.float32(0), np.float32(1))
    rest = np.float32(1) - weight
    begin = np.searchsorted(cell, np.arange(cells + 1)).astype(np.int64)
    number = np.arange(pixels) - begin[cell]
    by_cell = np.full((2, int(number.max()) + 1, cells + 1), np.nan, np.float32)
    by_cell[:, number, cell] = weight, rest
    return _Grid(cell, weight, rest, begin, by_cell[0], by_cell[1])


class _Part(NamedTuple):
    """The only part of a mask that can be set: rows of cells, columns of the image."""

    owner: int  # number of the mask
    top: int
    bottom: int
    left: int  # in cells
    right: int
    begin: int  # in columns of the image
    end: int

    @property
    def values(self) -> int:
        """How many values it takes, with one more at either end of a column."""
        return (self.end - self.begin) * (self.bottom - self.top + 2)


class _Changes(NamedTuple):
    """Neighbouring cells of an image column of which only one is above the threshold."""

    owner: Int64  # number of the mask
    column: Int64  # of the image
    cell: Int64  # the upper of the two, counted from the mask's top
    upper: Float32
    lower: Float32
    inner: NDArray[np.bool_]  # False: one of the two is not a cell but the end of the mask


def _parts(soft: Float32, across: _Grid, threshold: float) -> list[_Part]:
    above = soft > threshold
    tops, bottoms = _extents(np.logical_or.reduce(above, axis=2))
    lefts, rights = _extents(np.logical_or.reduce(above, axis=1))
    begin = across.begin.tolist()
    return [
        _Part(owner, top, bottom, left, right, begin[left], begin[right])
        for owner, (top, bottom, left, right) in enumerate(
            zip(tops, bottoms, lefts, rights, strict=True)
        )
        if begin[left] < begin[right]
    ]


def _groups(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Yield the same in order, one or as many together as `WORKING_VALUES` allows."""
    group: list[_Part] = []
    held = 0
    for part in parts:
        if group and held + part.values > WORKING_VALUES:
            yield group
            group, held = [], 0
        group.append(part)
        held += part.values
    if group:
        yield group


def _changes(soft: Float32, parts: Sequence[_Part], across: _Grid, threshold: float) -> _Changes:
    # All columns of all parts behind one another. At either end of each there is the threshold
    # itself, which is not above it: what is set at the border changes there.
    ends = np.cumsum([part.values for part in parts])
    values = np.empty(int(ends[-1]), np.float32)
    after = np.minimum(across.cell + 1, soft.shape[2] - 1)
    for part, end in zip(parts, ends.tolist(), strict=True):
        columns = values[end - part.values : end].reshape(part.end - part.begin, -1)
        columns[:, 0] = columns[:, -1] = threshold
        _interpolate(columns[:, 1:-1], soft[part.owner], part, across, after)
    above = values > threshold
    place = np.flatnonzero(above[1:] != above[:-1])
    starts = np.concatenate(([0], ends))
    facts = [
        (part.owner, part.top, part.bottom, part.begin, start)
        for part, start in zip(parts, starts.tolist(), strict=False)
    ]
    changes = np.diff(np.searchsorted(place, starts))
    owner, top, bottom, begin, start = np.repeat(np.array(facts).T, changes, axis=1)
    rows = bottom - top
    column, row = np.divmod(place - start, rows + 2)
    return _Changes(
        owner=owner,
        column=column + begin,
        cell=row + (top - 1),
        upper=values[place],
        lower=values[place + 1],
        inner=(row > 0) & (row < rows),
    )


def _interpolate(
    out: Float32, soft_mask: Float32, part: _Part, across: _Grid, after: Int64
) -> None:
    """Write the value of each column of the image, down its rows of cells, to `out`."""
    pixels = slice(part.begin, part.end)
    cells = np.ascontiguousarray(soft_mask[part.top : part.bottom, part.left : part.right + 1].T)
    np.multiply(cells.take(across.cell[pixels] - part.left, 0), across.rest[pixels, None], out=out)
    other = cells.take(after[pixels] - part.left, 0)
    other *= across.weight[pixels, None]
    out += other


def _extents(occupied: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return, per mask, the first and the end of the cells with an occupied one beside them."""
    cells = occupied.shape[1]
    first = occupied.argmax(1) - 1
    end = cells + 1 - occupied[:, ::-1].argmax(1)
    any_pixel = occupied.any(1)
    return (
        np.where(any_pixel, first.clip(0), 0).tolist(),
        np.where(any_pixel, end.clip(max=cells), 0).tolist(),
    )


def _first_pixels(changes: _Changes, down: _Grid, threshold: float) -> Int64:
    """Return the row of the image from which on each change holds."""
    end = down.begin[changes.cell + 1]
    # Where a mask ends at the border there is no pixel between the two.
    gap = np.where(changes.inner, changes.cell, len(down.begin) - 1)
    value = changes.upper * down.rests.take(gap, 1)  # [most, changes]
    value += changes.lower * down.weights.take(gap, 1)
    pixels_set = (value > threshold).sum(0)
    begin = np.where(changes.inner, down.begin[changes.cell.clip(0)], end)
    row: Int64 = np.where(changes.lower > threshold, end - pixels_set, begin + pixels_set)
    return row
