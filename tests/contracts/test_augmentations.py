"""What every augmentation does."""

import numpy as np
import pytest
import torch

from tests.support.data_fixtures import FILL, rectangle
from yolact_bench.data.augment import AUGMENTATIONS
from yolact_bench.data.objects import Objects
from yolact_bench.data.protocol import Augmentation
from yolact_bench.shapes import Sample
from yolact_bench.slots import pick

SIZE, MASK_SIZE = 96, 24
SEEDS = range(8)


def scene(number: int = 3) -> tuple[np.ndarray, Objects]:
    """Outlines, a bitmap, and a crowd, in an image of 80 x 120."""
    boxes = [(10.0, 10.0, 40.0, 60.0), (50.0, 20.0, 90.0, 70.0), (60.0, 5.0, 110.0, 30.0)][:number]
    bitmap = np.zeros((80, 120), np.uint8)
    bitmap[5:30, 60:110] = 1
    segments = ((rectangle(*boxes[0]),), (rectangle(*boxes[1]),), bitmap) if boxes else ()
    objects = Objects(
        boxes_px=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=np.arange(number),
        segments=segments,
        is_crowd=np.arange(number) == 2,
        height=80,
        width=120,
    )
    return np.random.default_rng(1).integers(0, 256, (80, 120, 3), dtype=np.uint8), objects


@pytest.fixture(params=sorted(AUGMENTATIONS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def augment(name: str) -> Augmentation:
    return pick("augment", AUGMENTATIONS, {"name": name})


def sample(augment: Augmentation, seed: int, number: int = 3) -> Sample:
    image, objects = scene(number)
    return augment(image, objects, np.random.default_rng(seed), SIZE, MASK_SIZE, FILL)


def test_every_part_has_the_promised_shape_and_range(augment: Augmentation) -> None:
    for seed in SEEDS:
        made = sample(augment, seed)
        target, number = made.target, len(made.target.labels)
        assert made.image.shape == (SIZE, SIZE, 3)
        assert made.image.dtype == torch.uint8
        assert target.boxes.shape == (number, 4)
        assert ((target.boxes >= 0) & (target.boxes <= 1)).all()
        assert (target.boxes[:, 2:] > target.boxes[:, :2]).all()
        assert target.masks.shape == (number, SIZE, SIZE)
        assert target.masks.max() <= 1
        assert target.is_crowd.tolist() == (target.labels == 2).tolist()


def test_masks_lie_in_their_boxes(augment: Augmentation) -> None:
    """To one pixel, for a pixel belongs to a mask by its centre."""
    for seed in SEEDS:
        target = sample(augment, seed).target
        for box, mask in zip(target.boxes * SIZE, target.masks, strict=True):
            rows, columns = torch.where(mask)
            assert len(rows) > 0
            assert columns.min() >= box[0] - 1
            assert rows.min() >= box[1] - 1
            assert columns.max() + 1 <= box[2] + 1
            assert rows.max() + 1 <= box[3] + 1


def test_masks_come_at_the_size_of_the_prototypes_when_asked(name: str) -> None:
    choice = {"name": name, "masks": "prototype_size"}
    target = sample(pick("augment", AUGMENTATIONS, choice), 0).target
    assert target.masks.shape[1:] == (MASK_SIZE, MASK_SIZE)


def test_an_image_without_objects_gives_an_empty_target(augment: Augmentation) -> None:
    for seed in SEEDS:
        target = sample(augment, seed, number=0).target
        assert target.boxes.shape == (0, 4)
        assert target.masks.shape == (0, SIZE, SIZE)


def test_some_object_that_is_no_crowd_remains(augment: Augmentation) -> None:
    for seed in range(30):
        assert not sample(augment, seed).target.is_crowd.all()
