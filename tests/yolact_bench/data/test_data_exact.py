"""The quick ways of the augmentation give, to the bit, what the plain ones give."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from yolact_bench.data.augment import photometric, view
from yolact_bench.data.collate import collate
from yolact_bench.shapes import Sample, Target

LEVELS = np.arange(256, dtype=np.float64)
FILL = (123.68, 116.78, 103.94)


def picture(seed: int) -> NDArray[np.uint8]:
    """Noise of a random size, cut from a larger picture: its rows do not lie end to end."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2)
    return rng.integers(0, 256, (height, width + 7, 3), dtype=np.uint8)[:, 3 : 3 + width]


def through_a_table(image: NDArray[np.uint8], gain: float, offset: float) -> NDArray[np.uint8]:
    """Every level computed in double precision."""
    table = np.rint(((LEVELS + offset) * gain).clip(0, 255)).astype(np.uint8)
    return table[image]


@pytest.mark.parametrize("seed", range(60))
def test_brightness_and_contrast_are_those_of_a_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gain = 1.0 if seed % 3 == 0 else rng.uniform(0.5, 1.5)
    offset = 0.0 if seed % 3 == 1 else rng.uniform(-32, 32)
    image = picture(seed)
    wanted = through_a_table(image, gain, offset)
    assert np.array_equal(photometric._through(image, gain, offset), wanted)


def test_levels_halfway_between_two_go_to_the_even_one_as_in_a_table() -> None:
    """Half of 1, 3 and 5 is 0.5, 1.5 and 2.5, which round to 0, 2 and 2."""
    image = np.array([[[1, 3, 5]]], np.uint8)
    assert photometric._through(image, 0.5, 0.0).tolist() == [[[0, 2, 2]]]


@pytest.mark.parametrize("seed", range(40))
def test_saturation_and_hue_are_those_of_a_table_on_each_channel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    saturation = 1.0 if seed % 3 == 0 else rng.uniform(0.5, 1.5)
    hue = 0.0 if seed % 3 == 1 else rng.uniform(-18, 18)
    image = picture(seed)

    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    shifted = ((LEVELS + round(hue * 256 / 360)) % 256).astype(np.uint8)
    stretched = np.rint((LEVELS * saturation).clip(0, 255)).astype(np.uint8)
    planes = (shifted[hsv[..., 0]], stretched[hsv[..., 1]], hsv[..., 2])
    wanted = cv2.cvtColor(np.stack(planes, axis=-1), cv2.COLOR_HSV2RGB_FULL)

    assert np.array_equal(photometric._shift_colour(image, saturation, hue), wanted)


@pytest.mark.parametrize("seed", range(40))
def test_an_image_warped_with_a_fourth_channel_is_the_one_warped_without(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = np.ascontiguousarray(picture(seed))
    height, width = image.shape[:2]
    seen = view.View(
        left=-float(rng.integers(1, 40)),
        top=-float(rng.integers(1, 40)),
        width=float(width + rng.integers(40, 120)),
        height=float(height + rng.integers(40, 120)),
        mirrored=bool(seed % 2),
    )
    rows, columns = view.image_region(height, width, seen, 131)
    matrix = view.pixel_centres(seen.matrix(131))
    matrix[:, 2] -= columns.start, rows.start
    extent = (columns.stop - columns.start, rows.stop - rows.start)
    wanted = cv2.warpAffine(image, matrix, extent, borderValue=FILL)

    whole = view.seen_image(image, seen, 131, FILL)

    assert np.array_equal(whole[rows, columns], wanted)


def test_a_batch_gives_back_the_targets_of_its_samples() -> None:
    """Of 2, 0 and 3 objects: packed behind one another, and split again."""
    samples = [
        Sample(
            image=torch.full((4, 4, 3), n, dtype=torch.uint8),
            target=Target(
                boxes=torch.rand(n, 4),
                labels=torch.arange(n),
                masks=torch.randint(2, (n, 4, 4), dtype=torch.uint8),
                is_crowd=torch.arange(n) == n - 1,
            ),
        )
        for n in (2, 0, 3)
    ]
    batch = collate(samples)
    assert batch.images[:, 0, 0, 0].tolist() == [2, 0, 3]
    assert len(batch) == 3
    for sample, target in zip(samples, batch.targets, strict=True):
        assert torch.equal(target.boxes, sample.target.boxes)
        assert torch.equal(target.labels, sample.target.labels)
        assert torch.equal(target.masks, sample.target.masks)
        assert torch.equal(target.is_crowd, sample.target.is_crowd)
