"""The arithmetic behind the figures."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.figures.geometry import Box, label_places, pareto, smooth

FRAME = Box(0, 0, 500, 300)


def test_a_lone_label_stands_right_beside_its_point() -> None:
    (place,) = label_places([(100, 100)], [(40, 10)], FRAME)
    assert (place.right, place.up, place.is_far) == (1, 0, False)
    assert place.box == Box(100 + 9, 100 - 5, 40, 10)  # 9: the gap


def test_a_label_at_the_right_edge_stands_to_the_left() -> None:
    (place,) = label_places([(480, 100)], [(40, 10)], FRAME)
    assert place.right == -1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(3, 9), st.integers(3, 12)), min_size=2, max_size=8, unique=True)
)
def test_labels_cover_neither_each_other_nor_other_points(cells: list[tuple[int, int]]) -> None:
    """Points at least 40 × 20 apart with labels of 45 × 12: there is always a free place."""
    points = [(40.0 * x, 20.0 * y) for x, y in cells]
    places = label_places(points, [(45, 12)] * len(points), FRAME)
    for a, b in itertools.combinations(places, 2):
        assert a.box.overlap(b.box) < 1
    for place, point in itertools.product(places, points):
        if point != points[places.index(place)]:
            assert place.box.overlap(Box(point[0] - 3, point[1] - 3, 6, 6)) < 1


def test_a_label_gives_way_to_the_line() -> None:
    (place,) = label_places([(100, 100)], [(40, 10)], FRAME, line=[(100, 100), (300, 100)])
    assert place.right == -1


def test_the_front_leaves_out_what_is_slower_and_no_better() -> None:
    points = [(40.0, 31.0), (44.0, 30.5), (38.0, 30.0), (60.0, 33.5), (40.0, 30.9)]
    assert pareto(points) == [(38.0, 30.0), (40.0, 31.0), (60.0, 33.5)]


def test_smoothing_keeps_a_straight_line_and_short_curves() -> None:
    assert smooth(np.array([3.0, 1.0, 2.0])).tolist() == [3.0, 1.0, 2.0]
    line = np.arange(200.0)
    assert smooth(line)[50:150] == pytest.approx(line[50:150])
