"""Time of the paired bootstrap at the size of COCO's val2017. No time decides a test."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from yolact_bench.statistics.bootstrap import multiplicities, resampled_ap
from yolact_bench.statistics.matches import AREAS, Matches

IMAGES, CLASSES, OBJECTS, DETECTIONS = 5_000, 80, 36_000, 400_000


def like_val2017(seed: int) -> Matches:
    """Objects of few common and many rare classes; 60 % found at IoU 0.5, 3 % at 0.95."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, CLASSES + 1)
    share /= share.sum()  # the first class has a fifth of all objects, as "person" has a third
    truth_label = np.sort(rng.choice(CLASSES, OBJECTS, p=share)).astype(np.int16)
    truth_image = rng.integers(IMAGES, size=OBJECTS).astype(np.int32)
    found = rng.permutation(OBJECTS)[: int(0.6 * OBJECTS)]
    label = np.concatenate([truth_label[found], rng.choice(CLASSES, DETECTIONS, p=share)])
    image = np.concatenate([truth_image[found], rng.integers(IMAGES, size=DETECTIONS)])
    thresholds = np.minimum(rng.beta(1.5, 1.0, len(found)) * 10, 9.99).astype(int) + 1
    matched = np.zeros(len(label), np.uint16)
    matched[: len(found)] = (1 << thresholds) - 1  # found at the first so many thresholds
    score = np.where(matched > 0, rng.beta(4, 2, len(label)), rng.beta(1, 4, len(label)))
    order = np.lexsort((-score, label))
    nowhere = np.zeros((len(AREAS), len(order)), np.uint16)
    return Matches(
        num_images=IMAGES,
        num_classes=CLASSES,
        image=image[order].astype(np.int32),
        label=label[order].astype(np.int16),
        score=score[order],
        matched=np.stack([matched[order]] * len(AREAS)),
        ignored=nowhere,
        truth_image=truth_image,
        truth_label=truth_label,
        truth_count=np.ones((len(AREAS), OBJECTS), np.int32),
    )


@pytest.mark.slow
def test_1000_resamples_of_5000_images_for_two_arms_mask_and_box(
    benchmark: BenchmarkFixture,
) -> None:
    evaluations = [like_val2017(seed) for seed in range(4)]  # two arms, mask and box of each

    def resample() -> float:
        drawn = multiplicities("synthetic", num_images=IMAGES, replicates=1_000)
        means = [resampled_ap(one, drawn).mean() for one in evaluations]
        return float(sum(means))

    assert benchmark.pedantic(resample, rounds=1) > 0
