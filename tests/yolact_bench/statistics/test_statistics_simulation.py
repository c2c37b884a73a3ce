"""What the statistics promise, tried out on arms whose true difference is known."""

import numpy as np
import pytest

from tests.support.simulated_arms import Regime, simulate
from yolact_bench.statistics.difference import difference, holm

pytestmark = pytest.mark.slow

REPEATS = 1_000
REGIMES = {
    "one shared checkpoint": Regime(seeds=1, images=0.005, luck=0.0, taste=0.0, shared=True),
    "shared checkpoints": Regime(seeds=3, images=0.004, luck=0.002, taste=0.002, shared=True),
    "shared, mostly images": Regime(seeds=3, images=0.006, luck=0.002, taste=0.004, shared=True),
    "shared, mostly seeds": Regime(seeds=3, images=0.001, luck=0.006, taste=0.002, shared=True),
    "three seeds": Regime(seeds=3, images=0.003, luck=0.003, taste=0.003),
    "three, mostly images": Regime(seeds=3, images=0.006, luck=0.001, taste=0.002),
    "three, mostly seeds": Regime(seeds=3, images=0.001, luck=0.006, taste=0.001),
    "three, nothing changed": Regime(seeds=3, images=0.0, luck=0.003, taste=0.003),
    "five seeds": Regime(seeds=5, images=0.003, luck=0.003, taste=0.003),
    "five, mostly images": Regime(seeds=5, images=0.006, luck=0.001, taste=0.002),
    "five, mostly seeds": Regime(seeds=5, images=0.001, luck=0.006, taste=0.001),
}


@pytest.mark.parametrize("name", REGIMES)
def test_the_interval_holds_the_truth_in_93_to_97_of_100(name: str) -> None:
    rng = np.random.default_rng(0)
    true = 0.01
    found = [difference(*simulate(rng, REGIMES[name], true=true)) for _ in range(REPEATS)]
    covered = np.mean([one.low <= true <= one.high for one in found])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("name", REGIMES)
def test_equal_arms_are_called_different_in_at_most_5_of_100(name: str) -> None:
    rng = np.random.default_rng(1)
    found = [difference(*simulate(rng, REGIMES[name], true=0.0)) for _ in range(3 * REPEATS)]
    assert np.mean([one.p < 0.05 for one in found]) <= 0.05


def test_of_five_equal_arms_one_is_called_different_in_at_most_5_of_100_tables() -> None:
    """All compared with one baseline, so the five tests are dependent; Holm does not mind."""
    rng = np.random.default_rng(3)
    regime = REGIMES["three, mostly images"]
    wrong = 0
    for _ in range(REPEATS):
        arms, baselines = zip(*[simulate(rng, regime, true=0.0) for _ in range(5)], strict=True)
        p_values = [difference(arm, baselines[0]).p for arm in arms]
        wrong += min(holm(p_values)) < 0.05
    assert wrong / REPEATS <= 0.05


@pytest.mark.parametrize(
    ("name", "level"),
    [*((name, 0.05) for name in REGIMES), ("three seeds", 0.01), ("five seeds", 0.01)],
)
def test_a_difference_of_the_size_printed_is_found_in_80_of_100(name: str, level: float) -> None:
    """The size printed for one ablation is planted into the next one of its kind."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(REPEATS):
        printed = difference(*simulate(rng, REGIMES[name], true=0.0), level=level).mde
        found.append(difference(*simulate(rng, REGIMES[name], true=printed)).p < level)
    assert np.mean(found) >= 0.8
