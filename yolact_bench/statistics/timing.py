"""Intervals of a median time and of a ratio of two, from rounds that resemble their neighbours.

Samples stand in order of time: `calls` in each round, of images that take turns with period
`period`. Neighbouring rounds resemble each other (temperature, other processes), and equal images
do (their number of objects). The bootstrap draws blocks of whole rounds, which keeps the first; and
it draws what is left of the samples when each image's own median is taken off, which keeps the
second: which images there are is part of the protocol, not of chance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolact_bench.statistics.matches import Values

# A quantile is printed only where at least a few samples lie beyond it: 64 × 0.1 ≈ 6 of them,
# 662 × 0.01 ≈ 7 of them.
MIN_SAMPLES_P90 = 64
MIN_SAMPLES_P99 = 662
MIN_ROUNDS = 10  # fewer have no interval
RESAMPLES = 2000
_LOW, _HIGH = 0.025, 0.975
# Image medians are taken off only where each is of at least this many samples: of fewer it would
# take most of the noise with it.
_MIN_CYCLES = 4
_AT_ONCE = 2**22  # values drawn together

Interval = tuple[float, float]


def median_interval(
    samples: Sequence[float], *, period: int = 1, calls: int = 1, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the 95 % interval of the median, in the unit of the samples; None of few rounds."""
    return _interval(np.log(np.asarray(samples, float)), period, calls, resamples)


def paired_ratio(
    samples: Sequence[float],
    reference: Sequence[float],
    *,
    period: int = 1,
    calls: int = 1,
    resamples: int = RESAMPLES,
) -> tuple[float, Interval | None]:
    """Return the median ratio of samples of the same round and image, and its 95 % interval.

    A round times all arms on the same images within a moment, so pairing removes what image and
    clock have in common. The interval covers this session only, not another day or another
    machine. None with fewer than ten rounds, or without resamples.
    """
    logs = np.log(np.asarray(samples, float) / np.asarray(reference, float))
    return float(np.exp(np.median(logs))), _interval(logs, period, calls, resamples)


def rel_half_width(interval: Interval | None) -> float:
    """Return half the width of an interval over its centre; infinite where there is none."""
    if interval is None:
        return float("inf")
    return (interval[1] - interval[0]) / (interval[1] + interval[0])


def period_of(image_ids: Sequence[int]) -> int:
    """Return after how many samples the images begin anew; 1 where they don't take turns."""
    first = [place for place, image in enumerate(image_ids) if image == image_ids[0]]
    period = first[1] if len(first) > 1 else 1
    turns = all(image == image_ids[place % period] for place, image in enumerate(image_ids))
    return period if turns else 1


def block_length(values: Values) -> int:
    """Return how many neighbouring rounds are drawn together.

    At least n^(1/3); more where neighbours resemble each other, by the length that is best for
    an autoregression of the first order; at most a quarter of the rounds.

    Source: Politis and White, Automatic block-length selection for the dependent bootstrap
    (Econometric Reviews 23, 2004), with the circular bootstrap's constant; the autocorrelation
    is that of ranks, which no single outlier moves.
    """
    n = len(values)
    shortest = n ** (1 / 3)
    ranks = values.argsort().argsort() - (n - 1) / 2
    rho = float((ranks[1:] * ranks[:-1]).mean() / (ranks**2).mean()) if n > 2 else 0.0
    rho = min(max(rho, 0.0), 0.97)
    # 2 G² / D with G = 2ρ/(1−ρ)² and D = (4/3)((1+ρ)/(1−ρ))², σ² cancelled.
    best = (6 * (rho / (1 - rho**2)) ** 2) ** (1 / 3) * shortest
    return max(1, round(min(max(float(shortest), float(best)), n / 4)))


def _interval(logs: Values, period: int, calls: int, resamples: int) -> Interval | None:
    """Return the interval of what has the median of `logs` as its logarithm."""
    rounds = len(logs) // calls
    if rounds < MIN_ROUNDS or resamples == 0:
        return None
    logs = logs[: rounds * calls]
    of_image, rest = _apart(logs, period)
    of_image, rest = of_image.reshape(rounds, calls), rest.reshape(rounds, calls)
    length = block_length(np.median(rest, axis=1))
    random = np.random.default_rng(0)
    share = max(1, _AT_ONCE // logs.size)
    medians: list[Values] = []
    for first in range(0, resamples, share):
        count = min(share, resamples - first)
        rows = _block_draws(rounds, length, count, random)
        drawn = of_image + rest[rows]  # [count, rounds, calls]
        medians.append(np.median(drawn.reshape(count, -1), axis=1))
    centre = float(np.median(logs))
    ends = np.quantile(np.concatenate(medians), [_LOW, _HIGH])
    wider = _few_blocks(rounds / length)
    low, high = (float(np.exp(centre + wider * (float(end) - centre))) for end in ends)
    return low, high


def _few_blocks(blocks: float) -> float:
    """Return by how much the interval of few blocks must be wider than its percentiles.

    Source: Student's t instead of the normal quantile, and n − 1 in place of n, as for the mean
    of as many blocks; t at 97.5 % is within 2 % of 1.96 + 2.4 / (n − 1) from ten blocks on.
    """
    freedom = max(blocks - 1, 1)
    return float((1 + 2.4 / (1.96 * freedom)) * (1 + 1 / freedom) ** 0.5)


def _apart(logs: Values, period: int) -> tuple[Values, Values]:
    """Return each sample's image effect and what is left, widened by what the medians took off."""
    cycles = len(logs) // period
    if period < 2 or cycles < _MIN_CYCLES:
        return np.zeros_like(logs), logs
    image = np.arange(len(logs)) % period
    medians = np.array([np.median(logs[image == i]) for i in range(period)])
    effect: Values = medians[image]
    rest = logs - effect
    return effect, rest * (cycles / (cycles - 1)) ** 0.5


def _block_draws(
    rounds: int, length: int, count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Return row numbers [count, rounds]: circular blocks of `length` rounds."""
    num_blocks = -(-rounds // length)
    starts = random.integers(rounds, size=(count, num_blocks))
    rows = (starts[:, :, None] + np.arange(length)) % rounds
    return rows.reshape(count, -1)[:, :rounds]
