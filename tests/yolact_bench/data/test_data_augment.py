"""What is particular to the augmentations."""

import numpy as np
import pytest
import torch

from tests.support.data_fixtures import FILL, rectangle
from yolact_bench.data.augment.photometric import distort
from yolact_bench.data.augment.plain import mirror, resize_only
from yolact_bench.data.augment.ssd import ssd
from yolact_bench.data.augment.view import View, seen_image
from yolact_bench.data.objects import Objects

RNG = np.random.default_rng
OFF = {"photometric": 0.0, "expand": 0.0, "crop": 0.0, "mirror": 0.0}


def scene(*boxes: tuple[float, float, float, float], crowds: int = 0) -> Objects:
    """Rectangles in an image of 100 x 200, the last of them crowds."""
    number = len(boxes)
    return Objects(
        boxes_px=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=np.arange(number),
        segments=tuple((rectangle(*box),) for box in boxes),
        is_crowd=np.arange(number) >= number - crowds,
        height=100,
        width=200,
    )


def picture(objects: Objects) -> np.ndarray:
    """Object i painted with the level 100 + i on black."""
    image = np.zeros((100, 200, 3), np.uint8)
    for label, (x0, y0, x1, y1) in enumerate(objects.boxes_px.astype(int)):
        image[y0:y1, x0:x1] = 100 + label
    return image


def test_with_everything_off_ssd_is_the_plain_resize() -> None:
    objects = scene((20, 10, 120, 60))
    plain = resize_only(picture(objects), objects, RNG(0), 50, 25, FILL)
    sample = ssd(picture(objects), objects, RNG(0), 50, 25, FILL, **OFF)
    assert torch.equal(sample.image, plain.image)
    assert torch.equal(sample.target.masks, plain.target.masks)
    # x: 20 / 200 and 120 / 200, y: 10 / 100 and 60 / 100
    assert sample.target.boxes.tolist()[0] == pytest.approx([0.1, 0.1, 0.6, 0.6])


def test_mirroring_turns_image_box_and_mask_alike() -> None:
    """x becomes 1 - x: 0.1 … 0.6 gives 0.4 … 0.9."""
    objects = scene((20, 10, 120, 60))
    plain = resize_only(picture(objects), objects, RNG(0), 50, 25, FILL)
    turned = mirror(picture(objects), objects, RNG(0), 50, 25, FILL, probability=1.0)
    assert torch.equal(turned.image, plain.image.flip(1))
    assert torch.equal(turned.target.masks, plain.target.masks.flip(2))
    assert turned.target.boxes.tolist()[0] == pytest.approx([0.4, 0.1, 0.9, 0.6])


@pytest.mark.parametrize("seed", range(12))
def test_image_masks_and_boxes_stay_together_under_ssd(seed: int) -> None:
    """Where the mask is 1, the picture has the object's level; the box is the mask's extent."""
    objects = scene((20, 10, 90, 60), (110, 30, 180, 90))
    sample = ssd(picture(objects), objects, RNG(seed), 200, 50, (0.0, 0.0, 0.0), photometric=0.0)
    target, side = sample.target, 200
    assert len(target.labels) >= 1
    for label, box, mask in zip(target.labels, target.boxes, target.masks, strict=True):
        level = sample.image[..., 0][mask.bool()].float()
        assert (level - (100 + label)).abs().median() == 0
        rows, columns = torch.where(mask)
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (box * side).tolist() == pytest.approx([float(v) for v in extent], abs=1.01)


def test_expanding_fills_with_the_mean_and_shrinks_at_most_fourfold() -> None:
    objects = scene((0, 0, 200, 100))
    image = np.full((100, 200, 3), 255, np.uint8)
    for seed in range(10):
        options = {**OFF, "expand": 1.0}
        sample = ssd(image, objects, RNG(seed), 80, 20, FILL, **options)
        box = sample.target.boxes[0] * 80
        inside = torch.zeros(80, 80, dtype=torch.bool)
        x0, y0, x1, y1 = box.round().int().tolist()
        inside[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = True
        beyond = sample.image[~inside]
        assert (beyond == torch.tensor(FILL, dtype=torch.uint8)).all()
        assert x1 - x0 + 1 >= 80 / 4
        assert x1 - x0 <= 80


def test_an_object_is_dropped_when_a_crop_leaves_its_centre_outside() -> None:
    """Kept objects have their centre in the window, so at least a quarter of each is seen."""
    objects = scene((10, 10, 50, 40), (60, 10, 100, 40), (150, 60, 190, 90))
    kept = set()
    for seed in range(40):
        sample = ssd(picture(objects), objects, RNG(seed), 100, 50, FILL, **{**OFF, "crop": 1.0})
        kept.add(len(sample.target.labels))
        for label, mask in zip(sample.target.labels, sample.target.masks, strict=True):
            level = sample.image[..., 0][mask.bool()].float().median()
            assert level == 100 + label
    assert min(kept) >= 1
    assert {1, 2} <= kept


def test_a_crop_shows_the_centre_of_an_object_that_is_no_crowd() -> None:
    objects = scene((90, 45, 110, 55), (0, 0, 200, 100), crowds=1)
    for seed in range(30):
        sample = ssd(picture(objects), objects, RNG(seed), 50, 25, FILL, **{**OFF, "crop": 1.0})
        assert not sample.target.is_crowd.all()


@pytest.mark.parametrize("crowds", [0, 1])
def test_an_image_without_objects_to_learn_is_cropped_all_the_same(crowds: int) -> None:
    objects = scene(*[(0.0, 0.0, 200.0, 100.0)][:crowds], crowds=crowds)
    image = RNG(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    whole = resize_only(image, objects, RNG(0), 50, 25, FILL).image
    sample = ssd(image, objects, RNG(1), 50, 25, FILL, **{**OFF, "crop": 1.0})
    assert not torch.equal(sample.image, whole)


def test_a_crop_that_cannot_succeed_ends() -> None:
    """The centre of the only object lies on the image's edge, in no window's inside."""
    objects = scene((190, 90, 210, 110))
    sample = ssd(picture(objects), objects, RNG(0), 50, 25, FILL, **{**OFF, "crop": 1.0})
    assert len(sample.target.labels) == 1


def test_prototype_masks_are_those_of_the_network_size_sampled_at_cell_centres() -> None:
    objects = scene((20, 10, 120, 60))
    image = picture(objects)
    small = ssd(image, objects, RNG(5), 100, 25, FILL, masks="prototype_size").target
    full = ssd(image, objects, RNG(5), 100, 25, FILL, masks="network_size").target
    assert torch.equal(small.boxes, full.boxes)
    assert small.masks.shape[1:] == (25, 25)
    assert full.masks.shape[1:] == (100, 100)
    differing = (small.masks != full.masks[:, 2::4, 2::4]).float().mean()
    assert differing < 0.03


def test_a_flipped_window_inside_the_image_is_the_crop_resized() -> None:
    """Columns 4 to 7, levels 80 to 140, in reverse; the 8 rows, all alike, become 4."""
    image = np.tile(np.arange(8, dtype=np.uint8)[None, :, None] * 20, (8, 1, 3))
    view = View(left=4.0, top=0.0, width=4.0, height=8.0, mirrored=True)
    seen = seen_image(image, view, 4, (0.0, 0.0, 0.0))
    assert seen[:, :, 0].tolist() == [[140, 120, 100, 80]] * 4


def test_without_probability_colours_stay_and_with_it_they_change_in_range() -> None:
    image = RNG(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(distort(image, rng=RNG(0), probability=0.0), image)
    assert not np.array_equal(distort(image, rng=RNG(0), probability=1.0), image)


def test_brightness_and_contrast_stay_within_their_bounds() -> None:
    """Grey 100 has no colour to change: between (100 - 32) x 0.5 and (100 + 32) x 1.5."""
    grey = np.full((4, 4, 3), 100, np.uint8)
    levels = [distort(grey, rng=RNG(seed), probability=1.0).mean() for seed in range(200)]
    assert 34 - 1 <= min(levels) < 60
    assert 140 < max(levels) <= 198 + 1
