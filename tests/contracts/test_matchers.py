"""What every entry of MATCHERS must do."""

import pytest
import torch

from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.loss.match import MATCHERS
from yolact_bench.loss.protocols import Matcher
from yolact_bench.shapes import Target

ANCHORS = anchor_grid(one_scale(), 64)
every_matcher = pytest.mark.parametrize("matcher", MATCHERS.values(), ids=MATCHERS.keys())


def target(num_objects: int, num_crowds: int) -> Target:
    """Boxes in a row, the crowds last."""
    count = num_objects + num_crowds
    left = torch.arange(count) / max(count, 1)
    boxes = torch.stack([left, left * 0, left + 1 / max(count, 1), left * 0 + 0.6], 1)
    return Target(
        boxes=boxes,
        labels=torch.arange(count) + 3,
        masks=torch.zeros(count, 64, 64, dtype=torch.uint8),
        is_crowd=torch.arange(count) >= num_objects,
    )


@every_matcher
@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (1, 0), (5, 1)], ids=str)
def test_labels_are_ignored_background_or_the_class_of_the_object(
    matcher: Matcher, counts: tuple[int, int]
) -> None:
    objects = target(*counts)
    match = matcher(ANCHORS, objects)
    positive = match.labels > 0
    assert match.labels.shape == match.truth.shape == (len(ANCHORS),)
    assert match.labels.min() >= -1
    truth = match.truth[positive]
    assert torch.equal(match.labels[positive], objects.labels[truth] + 1)
    assert not objects.is_crowd[truth].any()


@every_matcher
def test_every_object_has_an_anchor(matcher: Matcher) -> None:
    match = matcher(ANCHORS, target(5, 1))
    assert set(match.truth[match.labels > 0].tolist()) == {0, 1, 2, 3, 4}


@every_matcher
def test_no_object_means_no_positive(matcher: Matcher) -> None:
    assert (matcher(ANCHORS, target(0, 1)).labels <= 0).all()
