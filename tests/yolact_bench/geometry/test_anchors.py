"""Anchors: how many there are."""

from yolact_bench.geometry.anchors import anchor_grid, num_anchors, one_scale


def test_anchors_are_counted_without_building_them() -> None:
    for size in (72, 550):
        assert num_anchors(one_scale(), size) == len(anchor_grid(one_scale(), size))
