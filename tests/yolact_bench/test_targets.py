"""Targets of a batch in one piece: a sequence of views, with the place of every object."""

import torch
from torch import Tensor

from tests.support.loss_cases import objects
from yolact_bench.shapes import Target, Targets, places_of

EACH = [objects(n, 0, 2, n) for n in (2, 0, 3)]


def assert_equal(one: Target, other: Target) -> None:
    for name in ("boxes", "labels", "masks", "is_crowd"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_it_is_a_sequence_of_the_targets_it_was_made_of() -> None:
    joint = Targets.of(EACH)
    assert len(joint) == 3
    for one, other in zip(joint, EACH, strict=True):
        assert_equal(one, other)
    assert_equal(joint[-1], EACH[2])
    for one, other in zip(joint[1:], EACH[1:], strict=True):
        assert_equal(one, other)


def test_its_targets_are_views() -> None:
    joint = Targets.of(EACH)
    assert joint[2].masks.data_ptr() == joint.objects.masks[2:].data_ptr()
    assert Targets.of(joint) is joint


def test_every_object_has_its_image_and_its_row_there() -> None:
    assert places_of((2, 0, 3)).tolist() == [[0, 0, 2, 2, 2], [0, 1, 0, 1, 2]]
    assert places_of((0, 0)).shape == (2, 0)


def test_every_tensor_moves_with_it() -> None:
    moved = Targets.of(EACH).each(lambda tensor: tensor.to("meta"))
    assert moved.places.is_meta
    for name in ("boxes", "labels", "masks", "is_crowd"):
        tensor: Tensor = getattr(moved.objects, name)
        assert tensor.is_meta
