"""Soft masks at prototype size → COCO's run lengths at image size, without the pixels between."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Ceiling for the interpolated values that are looked at together.
WORKING_VALUES = 2**21


def mask_run_lengths(
    soft_masks: Float[Tensor, "N h w"], height: int, width: int, *, threshold: float = 0.5
) -> list[str]:
    """Return each mask at image size as the `counts` text of COCO's result format.

    The pixels are those of `mask_regions`, from the same float32 products and sums. Columns are
    interpolated between cells; down a column the value is linear from one cell to the next, so
    the mask can change there only where one of the two is above the threshold and the other is
    not, and pixels are computed nowhere else. No mask depends on which others are given.

    Source: bilinear, half-pixel centres, as torch's `interpolate` without align_corners. Pixels
    may differ from it where the upsampled value ties with the threshold to the last bit or two.
    """
    soft = soft_masks.detach().cpu().numpy()
    across = _grid(soft.shape[2], width)
    down = _grid(soft.shape[1], height)
    owners: list[Int64] = [np.empty(0, np.int64)]
    places: list[Int64] = [np.empty(0, np.int64)]
    each = _changes(soft, across, threshold)
    for changes in _in_groups(each, most=WORKING_VALUES // down.most):
        owners.append(changes.owner)
        places.append(changes.column * height + _first_pixels(changes, down, threshold))
    return encode_toggles(
        np.concatenate(owners), np.concatenate(places), count=len(soft), size=height * width
    )


def encode_toggles(owner: Int64, place: Int64, *, count: int, size: int) -> list[str]:
    """Return the `counts` text of `count` masks of `size` pixels.

    A toggle is a pixel, numbered down the columns, from which on a mask is the opposite of what
    it was. `owner` says whose it is; toggles come sorted by owner and place. Two in one place
    undo each other.

    Source: pycocotools, common/maskApi.c, `rleToString`: differences to the count before the
    last, five bits a character, least significant first.
    """
    toggles = owner * (size + 1) + place
    toggles = toggles[_occurs_oddly(toggles)]
    owner, place = np.divmod(toggles, size + 1)
    inside = place < size  # what toggles at the end has no pixel to change
    owner, place = owner[inside], place[inside]
    # All counts of all masks in one row: a mask's bounds are 0, its toggles and its size.
    per_mask = np.bincount(owner, minlength=count)
    ends = np.cumsum(per_mask + 1)
    bounds = np.full(len(place) + count, size, np.int64)
    slot = np.arange(len(place)) + owner
    bounds[slot] = place
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


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the pixels of one axis lie between the cells."""

    cell: Int64  # [pixels] the cell before
    weight: Float32  # [pixels] of the cell after
    rest: Float32  # [pixels] of the cell before
    begin: Int64  # [cells + 1] the first pixel at or behind each cell

    @property
    def most(self) -> int:
        """The most pixels between two cells."""
        return max(1, int(np.diff(self.begin).max()))


def _grid(cells: int, pixels: int) -> _Grid:
    # In float32 like torch's own kernel: the same rounding gives the same pixels.
    scale = np.float32(cells) / np.float32(pixels)
    place = scale * (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    place = np.maximum(place, np.float32(0))
    cell = np.minimum(place.astype(np.int64), cells - 1)
    weight = np.clip(place - cell.astype(np.float32), np.float32(0), np.float32(1))
    begin = np.searchsorted(cell, np.arange(cells + 1))
    return _Grid(cell, weight, np.float32(1) - weight, begin.astype(np.int64))


class _Changes(NamedTuple):
    """Neighbouring cells of an image column of which only one is above the threshold."""

    owner: Int64  # number of the mask
    column: Int64  # of the image
    cell: Int64  # the upper of the two, counted from the mask's top
    upper: Float32
    lower: Float32
    inner: NDArray[np.bool_]  # False: one of the two is no cell, but where the mask ends


def _in_groups(each: Iterable[_Changes], *, most: int) -> Iterator[_Changes]:
    """Yield the same changes in order, in as few parts as can be, `most` or one mask at a time."""
    group: list[_Changes] = []
    held = 0
    for changes in each:
        if group and held + len(changes.owner) > most:
            yield _joined(group)
            group, held = [], 0
        group.append(changes)
        held += len(changes.owner)
    if group:
        yield _joined(group)


def _joined(group: Sequence[_Changes]) -> _Changes:
    return _Changes(*(np.concatenate(parts) for parts in zip(*group, strict=True)))


def _changes(soft: Float32, across: _Grid, threshold: float) -> Iterator[_Changes]:
    above = soft > threshold
    tops, bottoms = _extents(np.logical_or.reduce(above, axis=2))
    lefts, rights = _extents(np.logical_or.reduce(above, axis=1))
    begin = across.begin.tolist()
    after = np.minimum(across.cell + 1, soft.shape[2] - 1)
    for owner, (top, bottom, left, right) in enumerate(
        zip(tops, bottoms, lefts, rights, strict=True)
    ):
        pixels = slice(begin[left], begin[right])
        part = np.ascontiguousarray(soft[owner, top:bottom, left : right + 1].T)
        values = part.take(across.cell[pixels] - left, 0)  # [columns, rows of cells]
        values *= across.rest[pixels, None]
        other = part.take(after[pixels] - left, 0)
        other *= across.weight[pixels, None]
        values += other
        yield _down_the_columns(values, threshold, owner, top, begin[left])


def _down_the_columns(
    values: Float32, threshold: float, owner: int, top: int, left: int
) -> _Changes:
    columns, rows = values.shape
    # A row of False at either end: what is set at the border changes there.
    above = np.zeros((columns, rows + 2), bool)
    np.greater(values, threshold, out=above[:, 1:-1])
    change = np.flatnonzero(above[:, 1:] != above[:, :-1])
    column = change // (rows + 1)
    lower = change - column  # index into the values
    row = lower - column * rows
    return _Changes(
        owner=np.full(len(change), owner),
        column=column + left,
        cell=row + (top - 1),
        upper=values.take(lower - 1, mode="clip"),
        lower=values.take(lower, mode="clip"),
        inner=(row > 0) & (row < rows),
    )


def _extents(occupied: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return, per mask, the first and the end of the cells with an occupied one beside them."""
    cells = occupied.shape[1]
    first = occupied.argmax(1) - 1
    end = cells + 1 - occupied[:, ::-1].argmax(1)
    found = occupied.any(1)
    return (
        np.where(found, first.clip(0), 0).tolist(),
        np.where(found, end.clip(max=cells), 0).tolist(),
    )


def _first_pixels(changes: _Changes, down: _Grid, threshold: float) -> Int64:
    """Return the row of the image from which on each change holds."""
    end = down.begin[changes.cell + 1]
    begin = np.where(changes.inner, down.begin[changes.cell.clip(0)], end)
    pixel = begin + np.arange(down.most)[:, None]  # [most, changes]
    exists = pixel < end
    np.minimum(pixel, len(down.cell) - 1, out=pixel)
    value = changes.upper * down.rest[pixel]
    value += changes.lower * down.weight[pixel]
    pixels_set = ((value > threshold) & exists).sum(0)
    row: Int64 = np.where(changes.lower > threshold, end - pixels_set, begin + pixels_set)
    return row


def _occurs_oddly(ordered: Int64) -> NDArray[np.bool_]:
    """Return which of the sorted numbers stand for those that occur an odd number of times."""
    if len(ordered) == 0:
        return np.zeros(0, bool)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    times = np.diff(np.concatenate((starts, [len(ordered)])))
    odd = np.zeros(len(ordered), bool)
    odd[starts] = times % 2 == 1
    return odd


def _digits(code: Int64) -> tuple[str, Int64]:
    """Return all numbers as text, one behind the other, and how many characters each has."""
    # Five bits and a sign bit above the last: 7 characters hold 2^34 pixels.
    characters = np.zeros((len(code), 7), np.uint8)
    digits = np.zeros(len(code), np.int64)
    going_on = np.arange(len(code))
    for place in range(characters.shape[1]):
        low = code & 31
        code = code >> 5
        more = np.where(low & 16, code != -1, code != 0)
        characters[going_on, place] = low + 48 + 32 * more
        digits[going_on] += 1
        going_on, code = going_on[more], code[more]
        if len(going_on) == 0:
            break
    return characters[characters > 0].tobytes().decode("ascii"), digits
