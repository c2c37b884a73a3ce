"""Matching of a whole batch: what `ssd_match` says of each image, and how many operations."""

from functools import partial

import pytest
import torch
from torch import Tensor

from tests.support.loss_cases import OperatorCount, objects, on_a_coarse_grid
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.loss import forms
from yolact_bench.loss.forms import match_batch
from yolact_bench.loss.match import match_of_batch, ssd_match
from yolact_bench.loss.protocols import Match
from yolact_bench.shapes import Target, Targets

ANCHORS = anchor_grid(one_scale(), 160)
MIXED = [(7, 1), (0, 0), (20, 3), (2, 2), (1, 0)]  # objects, of which crowds


def assert_equal_to_each(anchors: Tensor, targets: list[Target], **options: float) -> None:
    """Labels everywhere, objects where there are positives: all that a match means."""
    found = match_of_batch(anchors, Targets.of(targets), **options)
    for image, target in enumerate(targets):
        wanted = ssd_match(anchors, target, **options)
        positive = wanted.labels > 0
        assert torch.equal(found.labels[image], wanted.labels)
        assert torch.equal(found.truth[image][positive], wanted.truth[positive])


@pytest.mark.parametrize("seed", range(12))
def test_images_are_matched_as_each_is_alone(seed: int) -> None:
    """With crowds anywhere, images without objects, and images with nothing but crowds."""
    order = torch.randperm(len(MIXED), generator=torch.Generator().manual_seed(seed)).tolist()
    mixed = [MIXED[i] for i in order[: 1 + seed % len(MIXED)]]
    targets = [objects(n, crowds, 2, 10 * seed + i) for i, (n, crowds) in enumerate(mixed)]
    assert_equal_to_each(ANCHORS, targets)
    assert_equal_to_each(ANCHORS, targets, positive_iou=0.3, negative_iou=0.1, crowd_iou=0.2)


@pytest.mark.parametrize("seed", range(20))
def test_overlaps_that_tie_are_decided_alike(seed: int) -> None:
    """Boxes and anchors on a coarse grid, and more objects than anchors in every fourth case."""
    random = torch.Generator().manual_seed(seed)
    anchors = torch.randint(1, 5, (5 if seed % 4 == 0 else 60, 4), generator=random) / 8
    targets = [on_a_coarse_grid(objects(1 + 3 * i, i % 3, 2, seed + i)) for i in range(5)]
    assert_equal_to_each(anchors, targets)


def test_a_batch_without_objects_is_background() -> None:
    found = match_of_batch(ANCHORS, Targets.of([objects(0, 0, 2, 0)] * 3))
    assert found.labels.shape == (3, len(ANCHORS))
    assert not found.labels.any()


def test_what_fills_a_row_up_excuses_no_anchor() -> None:
    """An anchor beyond the corner that the filling stands in, with every limit at its least."""
    anchors = torch.tensor([[0.0, 0.0, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]])
    limits = {"positive_iou": 0.0, "negative_iou": 0.0, "crowd_iou": 0.0}
    assert_equal_to_each(anchors, [objects(0, 0, 2, 0), objects(3, 1, 2, 1)], **limits)


def test_the_number_of_operations_is_that_of_the_largest_image() -> None:
    """Seven for each object that may claim; the rest does not depend on the batch at all."""

    def count(images: int, largest: int) -> int:
        targets = Targets.of([objects(largest, 1, 2, i) for i in range(images)])
        with OperatorCount() as counted:
            match_of_batch(ANCHORS, targets)
        return counted.operators

    assert count(8, 9) == count(32, 9)
    assert count(8, 9) - count(8, 4) == 7 * 5
    assert count(8, 9) - 7 * 9 <= 74


def test_the_limits_are_checked_as_those_of_one_image() -> None:
    with pytest.raises(SpecError, match="at most positive_iou"):
        match_of_batch(ANCHORS, Targets.of([objects(1, 0, 2, 0)]), negative_iou=0.6)


@pytest.mark.parametrize("on_a_device", [False, True])
def test_a_matcher_of_one_image_serves_a_batch(
    monkeypatch: pytest.MonkeyPatch, on_a_device: bool
) -> None:
    """As one of another package may be: it says nothing of batches."""
    monkeypatch.setattr(forms, "reading_is_free", lambda tensor: not on_a_device)

    def first_anchor(anchors_cxcywh: Tensor, target: Target, *, label: int = 1) -> Match:
        labels = torch.zeros(len(anchors_cxcywh), dtype=torch.int64)
        labels[0] = label if len(target.labels) else 0
        return Match(labels=labels, truth=torch.zeros_like(labels))

    targets = Targets.of([objects(2, 0, 2, 0), objects(0, 0, 2, 1)])
    found = match_batch(partial(first_anchor, label=5), ANCHORS, targets)
    assert found.labels[:, :2].tolist() == [[5, 0], [0, 0]]


def test_a_device_gets_the_form_of_a_batch_with_the_same_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets = Targets.of([objects(5, 1, 2, 0), objects(3, 0, 2, 1)])
    matcher = partial(ssd_match, positive_iou=0.3, negative_iou=0.1)
    wanted = match_batch(matcher, ANCHORS, targets).labels
    monkeypatch.setattr(forms, "reading_is_free", lambda tensor: False)
    with OperatorCount() as counted:
        found = match_batch(matcher, ANCHORS, targets).labels
    assert torch.equal(found, wanted)
    assert not torch.equal(found, match_of_batch(ANCHORS, targets).labels)
    assert counted.operators <= 74 + 7 * 5
