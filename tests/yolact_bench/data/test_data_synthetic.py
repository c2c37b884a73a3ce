"""The drawn shapes."""

import pickle

import numpy as np
import pytest

from yolact_bench.data import open_dataset
from yolact_bench.data.synthetic import ShapesDataset
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.errors import SpecError


def shapes(split: str = "train", **options: int) -> ShapesDataset:
    sizes = {"train_images": 30, "val_images": 30}
    spec = resolve_dataset({"name": "shapes", **sizes, **options}, data_root=None)
    dataset = open_dataset(spec, split)
    assert isinstance(dataset, ShapesDataset)
    return dataset


def test_an_image_depends_on_its_numbers_only() -> None:
    """Drawn in another order, in another object, it is the same."""
    forwards, backwards = shapes(), shapes()
    first = [forwards.image(index).copy() for index in (0, 1, 2)]
    second = [backwards.image(index).copy() for index in (2, 1, 0)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_splits_seeds_and_validation_draws_share_no_image() -> None:
    sets = [shapes(), shapes("val"), shapes(seed=1), shapes("val", val_draw=1)]
    seen = {dataset.image(index).tobytes() for dataset in sets for index in range(30)}
    assert len(seen) == 4 * 30


def test_a_validation_draw_leaves_the_training_images_as_they_are() -> None:
    assert np.array_equal(shapes().image(3), shapes(val_draw=5).image(3))


def test_more_images_do_not_change_the_first_ones() -> None:
    assert np.array_equal(shapes().image(3), shapes(train_images=31).image(3))


def test_masks_do_not_overlap_and_boxes_are_their_extent() -> None:
    dataset = shapes()
    for index in range(len(dataset)):
        objects = dataset.objects(index)
        bitmaps = np.stack(objects.segments)
        assert bitmaps.sum(axis=0).max() <= 1
        for bitmap, (x0, y0, x1, y1) in zip(bitmaps, objects.boxes_px.astype(int), strict=True):
            assert bitmap[y0:y1, x0:x1].sum() == bitmap.sum()
            assert bitmap[y0].any() and bitmap[y1 - 1].any()
            assert bitmap[:, x0].any() and bitmap[:, x1 - 1].any()


def test_every_image_has_one_to_eight_objects_none_of_them_a_sliver() -> None:
    """At least 120 px of each remain visible, as the generator promises."""
    dataset = shapes()
    counts = [len(dataset.objects(index)) for index in range(len(dataset))]
    assert min(counts) >= 1
    assert max(counts) <= 8
    for index in range(len(dataset)):
        assert min(np.sum(bitmap) for bitmap in dataset.objects(index).segments) >= 120


def test_all_classes_and_all_three_coco_sizes_occur() -> None:
    """Areas below 32 x 32, from there to 96 x 96, and above."""
    dataset = shapes(train_images=100)
    objects = [dataset.objects(index) for index in range(len(dataset))]
    areas = np.array([np.sum(bitmap) for one in objects for bitmap in one.segments])
    shares = np.histogram(areas, [0, 32**2, 96**2, np.inf])[0] / len(areas)
    assert shares.min() > 0.03
    assert set(np.concatenate([one.labels for one in objects])) == {0, 1, 2, 3, 4}


def test_an_object_alone_differs_in_lightness_from_the_background() -> None:
    """60 levels on average from what it covers; 30 at least from all of the background."""
    dataset = shapes(train_images=60)
    alone = [index for index in range(60) if len(dataset.objects(index)) == 1]
    assert len(alone) >= 3
    for index in alone:
        image = dataset.image(index).mean(axis=2)
        bitmap = dataset.objects(index).segments[0]
        assert isinstance(bitmap, np.ndarray)
        assert abs(image[bitmap > 0].mean() - image[bitmap == 0].mean()) > 30


def test_a_pickled_set_draws_the_same_images() -> None:
    dataset = shapes()
    image = dataset.image(4).copy()
    restored = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(restored.image(4), image)


def test_the_ground_truth_decodes_to_the_masks() -> None:
    mask = pytest.importorskip("pycocotools.mask")
    dataset = shapes("val", val_images=3)
    truth = dataset.ground_truth()
    expected = [bitmap for index in range(3) for bitmap in dataset.objects(index).segments]
    annotations = truth["annotations"]
    assert isinstance(annotations, list)
    assert len(annotations) == len(expected)
    for one, bitmap in zip(annotations, expected, strict=True):
        decoded = mask.decode(mask.frPyObjects(one["segmentation"], 192, 192))
        assert np.array_equal(decoded, bitmap)
        assert one["area"] == decoded.sum()


def test_more_images_than_memory_holds_are_refused() -> None:
    """16,000,000,000 pixels are 15,258 images of 1024 px, and less than another one."""
    assert 15_258 * 1024**2 <= 16_000_000_000 < 15_259 * 1024**2
    choice = {"name": "shapes", "size": 1024, "val_images": 1}
    resolve_dataset({**choice, "train_images": 15_257}, data_root=None)
    with pytest.raises(SpecError, match=r"15,259 images of 1024 px .*; write at most 15,258"):
        resolve_dataset({**choice, "train_images": 15_258}, data_root=None)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(
        SpecError,
        match=r"dataset.shapes.seed: expected a whole number from 0 to 4,294,967,295, got -1",
    ):
        shapes(seed=-1)
