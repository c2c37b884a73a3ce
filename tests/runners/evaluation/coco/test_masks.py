"""Segmentations of every kind as compressed run lengths."""

import numpy as np
import pytest

from runners.evaluation.coco.masks import areas, encode_pixels
from runners.evaluation.coco.segmentations import BadMaskError, run_lengths_of

HEIGHT, WIDTH = 5, 8
# Rows 1 to 3 of columns 2 to 5, by column: two empty ones and a row, then 3 of each 5 rows, then
# a row and two empty columns.
COUNTS = [2 * 5 + 1, 3, 2, 3, 2, 3, 2, 3, 1 + 2 * 5]
POLYGON = [2.0, 1.0, 6.0, 1.0, 6.0, 4.0, 2.0, 4.0]


def test_polygons_and_run_lengths_of_either_kind_are_the_same_mask() -> None:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[1:4, 2:6] = 1
    mask = encode_pixels(pixels)
    assert areas([mask]) == [3 * 4]
    lengths = {"size": [HEIGHT, WIDTH], "counts": COUNTS}
    same = [mask, lengths, [POLYGON], [POLYGON, POLYGON]]  # parts are united
    assert run_lengths_of(same, [(HEIGHT, WIDTH)] * 4) == ([mask] * 4, [12.0] * 4)


def _rle(counts: object, size: object = (HEIGHT, WIDTH)) -> dict[str, object]:
    return {"size": [*size] if isinstance(size, tuple) else size, "counts": counts}


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (
            _rle(COUNTS, (WIDTH, HEIGHT)),
            r"the mask is \[8, 5\] .height, width., its image \[5, 8\]",
        ),
        ({"counts": COUNTS}, "the mask is None .height"),
        (_rle(COUNTS, "5 8"), "the mask is '5 8'"),
        (_rle([0, 41]), "expected whole numbers from 0 to the 40 pixels .* got 41"),
        (_rle([0, 20, 21]), "the run lengths cover 41 pixels of 40"),
        (_rle([0, 39]), "the run lengths cover 39 pixels of 40"),
        (_rle([45, -5]), "got 45"),
        (_rle([20, -5, 25]), "got -5"),
        (_rle([2**40, 0]), "got 1099511627776"),
        (_rle([10**400]), "got 1000.*000"),
        (_rle([20.5, 19.5]), "got 20.5"),
        (_rle([float("nan"), 40]), "got nan"),
        (_rle(["20", "20"]), "got '20'"),
        (_rle([True, 39]), "got True"),
        (_rle([[40]]), r"got \[40\]"),
        (_rle(None), "expected run lengths or their text, got None"),
        (_rle(40), "got 40"),
        (_rle({"0": 40}), "got {'0': 40}"),
        (_rle(""), "'' is not the text of run lengths that sum to the 40 pixels"),
        (_rle("X"), "'X' is not the text"),  # ends within a number
        (_rle("oooooooooooo0"), "is not the text"),  # a number of 13 characters
        (_rle("X1é"), "is not the text"),
        (_rle("X1 "), "is not the text"),
        (_rle("Y1"), "is not the text"),  # 41 pixels
        (_rle("n0X1"), "is not the text"),  # -2, then 42
        ([POLYGON[:4]], r"a polygon is \[x1, y1, x2, y2, x3, y3, …\], got \[2.0, 1.0, 6.0, 1.0\]"),
        ([POLYGON[:7]], "a polygon is"),
        ([[*POLYGON[:6], float("nan"), 1.0]], "a corner at nan"),
        ([[*POLYGON[:6], 1e300, 1.0]], "a corner at 1e.300; expected .* within ±100000"),
        ([[*POLYGON[:6], -(10**400), 1]], "a corner at -1000"),
        ([[*POLYGON[:6], "1", 1]], "a corner at '1'"),
        ([[*POLYGON[:6], None, 1]], "a corner at None"),
        ([[[2, 1], [6, 1], [6, 4], [2, 4], [1, 1], [1, 1]]], r"a corner at \[2, 1\]"),
        ([[0, 0, 1e5, 1e5] * 30], "an outline of 6e.06 px, expected at most 4e.06"),
        (POLYGON, "a polygon is .* got 2.0"),
        ([], r"neither run lengths nor polygons, but \[\]"),
        (None, "neither run lengths nor polygons, but None"),
        ("X1", "neither run lengths nor polygons, but 'X1'"),
        (7, "neither run lengths nor polygons, but 7"),
    ],
)
def test_anything_else_is_refused(segmentation: object, message: str) -> None:
    """The right mask before it is not named: "X1" is one run of 40 pixels, 8 + 32 · 1."""
    right = _rle("X1")
    with pytest.raises(BadMaskError, match=message) as raised:
        run_lengths_of([right, segmentation, segmentation], [(HEIGHT, WIDTH)] * 3)
    assert raised.value.number == 1
