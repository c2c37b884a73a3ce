"""The whole way from detections to a verdict: matches, resamples, difference."""

import numpy as np
import pytest

from tests.support.simulated_detections import Scene, arm, true_ap
from yolact_bench.statistics.difference import Difference, difference

pytestmark = pytest.mark.slow

REPEATS, SEEDS, LUCK = 1_000, 3, 0.006
BETTER = 0.02  # in mask IoU


def compare(rng: np.random.Generator, better: float) -> Difference:
    scene = Scene.draw(rng)
    changed = arm(rng, scene, "a", quality=better, seeds=SEEDS, luck=LUCK)
    return difference(changed, arm(rng, scene, "b", quality=0.0, seeds=SEEDS, luck=LUCK))


@pytest.fixture(scope="module")
def true_difference() -> float:
    """Known to 0.0006, a twentieth of the standard error of what is compared."""
    rng = np.random.default_rng(10)
    aps = [true_ap(rng, quality=q, luck=LUCK, repeats=5_000) for q in (BETTER, 0.0)]
    return aps[0] - aps[1]


@pytest.fixture(scope="module")
def equal() -> list[Difference]:
    rng = np.random.default_rng(12)
    return [compare(rng, 0.0) for _ in range(REPEATS)]


def test_the_interval_of_average_precision_holds_the_true_difference(
    true_difference: float,
) -> None:
    rng = np.random.default_rng(11)
    found = [compare(rng, BETTER) for _ in range(REPEATS)]
    assert 0.93 <= np.mean([one.low <= true_difference <= one.high for one in found]) <= 0.97


def test_equal_detectors_are_called_different_in_at_most_5_of_100(
    equal: list[Difference],
) -> None:
    assert np.mean([one.p < 0.05 for one in equal]) <= 0.05


def test_a_detector_better_by_the_size_printed_is_found_in_80_of_100(
    true_difference: float, equal: list[Difference]
) -> None:
    """AP rises with quality nearly in a line, so the slope says what quality to plant."""
    rng = np.random.default_rng(13)
    per_ap = BETTER / true_difference
    found = [compare(rng, per_ap * one.mde).p < 0.05 for one in equal]
    assert np.mean(found) >= 0.8
