"""Segmentations of every kind as compressed run lengths."""

import numpy as np
import pytest

from runners.evaluation.coco.masks import areas, as_run_lengths, encode_pixels

HEIGHT, WIDTH = 5, 8
# Rows 1 to 3 of columns 2 to 5, by column: two empty ones and a row, then 3 of each 5 rows, then
# a row and two empty columns.
COUNTS = [2 * 5 + 1, 3, 2, 3, 2, 3, 2, 3, 1 + 2 * 5]
POLYGON = [2.0, 1.0, 6.0, 1.0, 6.0, 4.0, 2.0, 4.0]


def test_polygons_and_run_lengths_of_either_kind_are_the_same_mask() -> None:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[1:4, 2:6] = 1
    mask = encode_pixels(pixels)
    size = {"height": HEIGHT, "width": WIDTH}
    assert areas([mask]) == [3 * 4]
    assert as_run_lengths(mask, **size) == mask
    assert as_run_lengths({"size": [HEIGHT, WIDTH], "counts": COUNTS}, **size) == mask
    assert as_run_lengths([POLYGON], **size) == mask
    assert as_run_lengths([POLYGON, POLYGON], **size) == mask  # parts are united


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [WIDTH, HEIGHT], "counts": COUNTS}, r"\[8, 5\] .height, width., its image"),
        ({"size": [HEIGHT, WIDTH], "counts": [0, 41]}, "cover 41 pixels of 40"),
        ({"counts": COUNTS}, "neither run lengths nor polygons"),
        ([POLYGON[:4]], "neither run lengths nor polygons"),
        ([], "neither run lengths nor polygons"),
        (None, "neither run lengths nor polygons"),
    ],
)
def test_anything_else_is_refused(segmentation: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_run_lengths(segmentation, height=HEIGHT, width=WIDTH)
