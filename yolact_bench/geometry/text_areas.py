"""The areas of masks in COCO's text form, all at once, and whether each is one at all.

A number is a series of characters from code 48 on: five bits each, low ones first, and a sixth
that says whether more follow; the top bit of the last one is the sign. From the fourth number of a
text on, the difference to the number two before is stored.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 13  # characters, whose arrays stay in a core's own cache
_MOST_CHARACTERS = 7  # of a number: 34 bits and the sign
_NOTHING = "0"  # the text of a mask without pixels, in the place of one that cannot be read

Int64 = NDArray[np.int64]


def text_areas(texts: Sequence[str], pixels: Int64) -> NDArray[np.float64]:
    """Return the area of each mask [N], -1 where its text is none of a mask of so many `pixels`.

    Source: pycocotools, rleFrString and rleArea of maskApi.c, which check nothing.
    """
    texts = [text if text.isascii() and text else _NOTHING for text in texts]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    areas = np.empty(len(texts))
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        codes = np.frombuffer("".join(texts[start:stop]).encode("ascii"), np.uint8) - 48
        areas[start:stop] = _areas(codes, ends[start:stop] - before, pixels[start:stop])
        start = stop
    return areas


def _areas(codes: NDArray[np.uint8], ends: Int64, pixels: Int64) -> NDArray[np.float64]:
    """Return the areas of texts that stand one behind the other and end at `ends`."""
    is_last = codes & 32 == 0  # of its number
    usable = is_last[ends - 1]
    is_last[ends - 1] = True
    stops = np.flatnonzero(is_last)
    begins = np.append(0, ends[:-1])
    if codes.max() > 63:  # as are those of characters below code 48
        usable &= ~np.logical_or.reduceat(codes > 63, begins)
    length = np.diff(stops, prepend=-1)
    values = _numbers(codes, stops, length)
    first = np.searchsorted(stops, begins)  # number of each text
    if length.max() > _MOST_CHARACTERS:
        usable &= np.maximum.reduceat(length, first) <= _MOST_CHARACTERS
    totals, fewest = _chains(values, first)
    is_even = (first & 1 == 0).astype(np.int64)
    every = np.arange(len(first))
    runs, gaps = totals[is_even, every], totals[1 - is_even, every] + values[first]
    usable &= (gaps + runs == pixels) & (values[first] >= 0) & (fewest.min(axis=0) >= 0)
    return np.where(usable, runs, -1.0)


def _numbers(codes: NDArray[np.uint8], stops: Int64, length: Int64) -> Int64:
    """Return the numbers whose last characters are at `stops`, each of so many characters."""
    last = (codes[stops] & 31).astype(np.int64)
    values = (last ^ 16) - 16  # with its sign
    rows = np.flatnonzero(length > 1)
    shift = 5 * (np.minimum(length[rows], _MOST_CHARACTERS) - 1)
    values[rows] <<= shift
    for place in range(1, _MOST_CHARACTERS):
        shift = shift[length[rows] > place] - 5
        rows = rows[length[rows] > place]
        values[rows] += (codes[stops[rows] - place] & 31).astype(np.int64) << shift
    return values


def _chains(values: Int64, first: Int64) -> tuple[Int64, Int64]:
    """Return the sum and the least of what differences add up to, [2, N] of the texts each.

    Numbers that build upon one another stand at every second place, so each text has a chain at
    the even places of all numbers and one at the odd ones. `first` is the place of its first
    number, which begins no chain. A chain without numbers has 0 for both.
    """
    totals, fewest = np.zeros((2, 2, len(first)), np.int64)
    for parity in (0, 1):
        sums = np.append(0, values[parity::2].cumsum())
        bounds = (np.append(first, len(values)) + 1 - parity) >> 1
        count = np.diff(bounds)
        before = sums[bounds[:-1]] + np.where(first & 1 == parity, values[first], 0)
        within = np.append(sums[1:], 0)
        totals[parity] = np.add.reduceat(within, bounds)[:-1] - before * count
        fewest[parity] = np.minimum.reduceat(within, bounds)[:-1] - before
        totals[parity, count == 0] = fewest[parity, count == 0] = 0
    return totals, fewest
