"""Times of what the bench spends its time on: `make bench`. No time decides a test."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.support.nms_scenes import scattered_scene
from yolact_bench.build import load_detector
from yolact_bench.data.augment import AUGMENTATIONS
from yolact_bench.data.objects import Objects
from yolact_bench.detect.nms import NMS
from yolact_bench.geometry.anchors import anchor_grid, one_scale, three_scales
from yolact_bench.geometry.masks import crop
from yolact_bench.geometry.run_lengths import mask_run_lengths
from yolact_bench.loss.match import ssd_match
from yolact_bench.shapes import Target

CANDIDATES = 1000


@pytest.mark.parametrize("name", sorted(NMS))
def test_nms_of_19248_anchors(benchmark: BenchmarkFixture, name: str) -> None:
    boxes, scores = scattered_scene(19_248)
    kept = benchmark(NMS[name], boxes, scores)
    assert len(kept.anchor) > 0


@pytest.mark.parametrize("side", [480, 1080])
def test_100_soft_masks_to_run_lengths(benchmark: BenchmarkFixture, side: int) -> None:
    boxes, _ = scattered_scene(100 + CANDIDATES)
    soft = crop(torch.rand(100, 138, 138), boxes[:100])

    assert len(benchmark(mask_run_lengths, soft, side, side)) == 100


@pytest.mark.parametrize("anchors", [one_scale, three_scales])
def test_matching_20_objects(benchmark: BenchmarkFixture, anchors: Callable[..., object]) -> None:
    boxes, _ = scattered_scene(20 + CANDIDATES)
    target = Target(
        boxes=boxes[:20],
        labels=torch.zeros(20, dtype=torch.int64),
        masks=torch.zeros(20, 8, 8, dtype=torch.uint8),
        is_crowd=torch.zeros(20, dtype=torch.bool),
    )
    match = benchmark(ssd_match, anchor_grid(anchors(), 550), target)
    assert int((match.labels > 0).sum()) >= 20


@pytest.mark.parametrize("masks", ["network_size", "prototype_size"])
def test_augmenting_a_640_by_480_image_with_7_objects(
    benchmark: BenchmarkFixture, masks: str
) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 300, (7, 2))
    boxes = np.hstack([corner, corner + rng.uniform(40, 160, (7, 2))])
    outlines = tuple(
        (np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]),) for x0, y0, x1, y1 in boxes
    )
    objects = Objects(
        boxes_px=boxes,
        labels=np.zeros(7, dtype=np.int64),
        segments=outlines,
        is_crowd=np.zeros(7, dtype=bool),
        height=480,
        width=640,
    )
    image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    fill = (123.68, 116.78, 103.94)

    def augment() -> object:
        return AUGMENTATIONS["ssd"](image, objects, rng, 550, 138, fill, masks=masks)  # type: ignore[call-arg]

    assert benchmark(augment) is not None


def test_the_tiny_detector_end_to_end(benchmark: BenchmarkFixture) -> None:
    detector = load_detector("yolact_tiny")
    image = np.zeros((192, 192, 3), dtype=np.uint8)
    assert len(benchmark(detector, [image])) == 1
