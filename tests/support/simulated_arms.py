"""Arms whose true difference is known, as `difference` sees them: points and resamples."""

from dataclasses import dataclass

import numpy as np

from yolact_bench.statistics.bootstrap import multiplicities
from yolact_bench.statistics.difference import SeedResult

IMAGES, REPLICATES = 200, 1_000
DRAWN = multiplicities("simulation", num_images=IMAGES, replicates=REPLICATES) / IMAGES


@dataclass(frozen=True, kw_only=True)
class Regime:
    """How much of a difference is chance: standard deviations, in AP, of one seed's difference."""

    seeds: int
    images: float  # some images favour one arm, whatever its seed
    luck: float  # a seed is better than another
    taste: float  # a seed is better on some images
    shared: bool = False  # both arms use the same trainings


def simulate(
    rng: np.random.Generator, regime: Regime, *, true: float
) -> tuple[list[SeedResult], list[SeedResult]]:
    """Two arms that differ by `true`, on images and seeds drawn anew.

    What both have in common, easy and hard images, has no part in a paired difference.
    """
    easy = rng.normal(0.4, 0.3, IMAGES)
    favour = rng.normal(0.0, regime.images * np.sqrt(IMAGES), IMAGES)
    arm, baseline = [], []
    for _ in range(regime.seeds):
        trained = easy + rng.normal(0.0, 0.05, IMAGES)
        chance = [_chance(rng, regime) for _ in range(2)]
        if regime.shared:
            baseline.append(trained)
            arm.append(trained + chance[0] + favour + true)
        else:  # the two share a chance of the size that the regime states
            baseline.append(easy + chance[0] / np.sqrt(2))
            arm.append(easy + chance[1] / np.sqrt(2) + favour + true)
    names = "tt" if regime.shared else "ab"
    return _results(np.stack(arm), names[0]), _results(np.stack(baseline), names[1])


def _results(values: np.ndarray, name: str) -> list[SeedResult]:
    """What is seen of seeds [S, N] whose metric is the mean over images."""
    rows = enumerate(zip(values.mean(axis=1), values @ DRAWN.T, strict=True))
    return [
        SeedResult(point=float(point), resamples=resamples, training=f"{name}{seed}", seed=seed)
        for seed, (point, resamples) in rows
    ]


def _chance(rng: np.random.Generator, regime: Regime) -> np.ndarray:
    taste = rng.normal(0.0, regime.taste * np.sqrt(IMAGES), IMAGES)
    return rng.normal(0.0, regime.luck) + taste
