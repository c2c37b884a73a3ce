"""Outlines and run lengths as pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.data_fixtures import rectangle
from yolact_bench.data.objects import from_run_lengths, rasterise, run_lengths

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def test_a_polygon_covers_the_cells_whose_centre_it_holds() -> None:
    """From 2 to 6 the centres 2.5 … 5.5 lie inside: 4 columns; from 3 to 4.6, rows 3 and 4."""
    mask = rasterise(((rectangle(2, 3, 6, 4.6),),), IDENTITY, 10)[0]
    assert mask.sum() == 4 * 2
    assert mask[3:5, 2:6].all()


def test_parts_of_an_object_that_overlap_are_united_not_cut_out() -> None:
    """4 x 4 and 4 x 4, sharing 2 x 4: 16 + 16 - 8 cells."""
    parts = (rectangle(0, 0, 4, 4), rectangle(2, 0, 6, 4))
    assert rasterise((parts,), IDENTITY, 10)[0].sum() == 24


def test_a_polygon_beyond_the_mask_leaves_it_empty() -> None:
    assert not rasterise(((rectangle(20, 20, 30, 30),),), IDENTITY, 10).any()


def test_a_bitmap_maps_like_the_outline_of_the_same_object() -> None:
    """A 40 px square of an 80 px image, at half size: 20 x 20 cells either way."""
    bitmap = np.zeros((80, 80), np.uint8)
    bitmap[20:60, 10:50] = 1
    masks = rasterise((bitmap, (rectangle(10, 20, 50, 60),)), IDENTITY * 0.5, 40)
    assert masks[0].sum() == 20 * 20
    assert np.array_equal(masks[0], masks[1])


def test_small_masks_of_outlines_are_not_fattened() -> None:
    """A disc of radius 6 cells has 36 π = 113 cells; drawing it with its outline gives 137."""
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    disc = 20 + 6 * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    assert rasterise(((disc,),), IDENTITY, 40)[0].sum() == pytest.approx(36 * np.pi, rel=0.04)


@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_run_lengths_and_back_is_the_same_bitmap(cells: list[bool]) -> None:
    bitmap = np.array(cells, dtype=np.uint8).reshape(3, 4)
    counts = np.array(run_lengths(bitmap))
    assert counts.sum() == 12
    assert np.array_equal(from_run_lengths(counts, 3, 4), bitmap)


def test_run_lengths_go_down_the_columns_zeros_first() -> None:
    """Columns (1, 0), (1, 1): no zeros, 1 one, 1 zero, 2 ones."""
    assert run_lengths(np.array([[1, 1], [0, 1]], dtype=np.uint8)) == [0, 1, 1, 2]
