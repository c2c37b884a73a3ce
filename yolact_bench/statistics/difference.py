"""The difference between two arms: how large, how sure, and whether seeds and images both allow it.

An arm's AP on N images with S trained seeds varies for three reasons: other images would have
been easier for one arm (images), another seed would have trained better (seeds), and a training
is better on some images than on others (their interaction). The bootstrap over images sees the
first and the last; the spread of the seeds' values, all measured on the same images, sees the
last two. Added up as they are they would count the interaction twice, so it is estimated by
itself, from how the seeds' deviations from their mean vary over resamples, and taken off once.

Source: seeds and images as crossed random effects: Owen, The pigeonhole bootstrap, Annals of
Applied Statistics 1 (2007) 386-411. Two arms' seeds together: Welch, Biometrika 34 (1947) 28-35.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yolact_bench.statistics.matches import Values
from yolact_bench.statistics.spread import SeedVariance, Spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeedResult:
    """One metric of one trained seed: on the evaluation images, and on their resamples."""

    point: float
    resamples: Values  # [R]; the same resamples for everything that is compared
    training: str  # train_digest
    seed: int
    sampling: str = ""  # which resamples these are; results of different ones are not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Arm minus baseline, in fractions of 1 as AP is."""

    value: float
    low: float  # 95 % interval, images and seeds together
    high: float
    image_se: float  # standard error from images alone
    seed_se: float | None  # from seeds alone; None with one seed, which shows no spread
    p: float  # two-sided: the largest of the tests against images, seeds, and both
    mde: float  # smallest true difference that is found with 80 % probability; inf: none would be
    testable: bool  # False: different trainings with one seed, so seeds may explain any difference
    pairs: int  # seeds that both have


def difference(
    arm: Sequence[SeedResult], baseline: Sequence[SeedResult], *, level: float = 0.05
) -> Difference:
    """Return the difference between the mean over seeds of `arm` and that of `baseline`.

    Where both use the same trainings (an arm that changes detection only), differences are taken
    training by training, and only trainings that both have count. Otherwise the seeds of one arm
    have nothing to do with those of the other, whatever their numbers. One shared training is
    judged on images alone: the statement is then about that checkpoint. With different trainings
    and one seed on either side nothing is known about seeds: not judged, `mde` is infinite, and
    `p` and the interval speak of images only.

    `level` is what p must be below to count, for the minimum detectable effect: 0.05 over the
    number of tests where a table has several. The interval is always one of 95 %.

    Raises:
        ValueError: an arm without results, or results from different resamples.
    """
    first, second = _by_training(arm), _by_training(baseline)
    results = [*first.values(), *second.values()]
    if len({(result.sampling, len(result.resamples)) for result in results}) > 1:
        raise ValueError("results on different resamples cannot be compared; resample them again")
    points = [{t: r.point for t, r in side.items()} for side in (first, second)]
    value = mean_difference(*points)
    shared = [training for training in first if training in second]
    if shared:
        spread = _paired_spread([first[t] for t in shared], [second[t] for t in shared])
        pairs, testable = len(shared), True
    else:
        a, b = list(first.values()), list(second.values())
        spread = _unpaired_spread(a, b)
        pairs = len({result.seed for result in a} & {result.seed for result in b})
        testable = spread.seeds is not None
    half = spread.half_width(0.05)
    return Difference(
        value=value,
        low=value - half,
        high=value + half,
        image_se=math.sqrt(spread.images),
        seed_se=None if spread.seeds is None else math.sqrt(spread.seeds.variance),
        p=spread.p_value(value),
        mde=spread.detectable(level) if testable else math.inf,
        testable=testable,
        pairs=pairs,
    )


def mean_difference(arm: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Return the difference of two means over trainings, of training → value on each side.

    Where both have trainings in common, of these alone.
    """
    shared = [arm[training] - baseline[training] for training in arm if training in baseline]
    if shared:
        return float(np.mean(shared))
    return float(np.mean([*arm.values()]) - np.mean([*baseline.values()]))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that below 0.05 anywhere in the table means 5 % for all of it.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6 (1979) 65-70.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = largest
    return adjusted


def _by_training(results: Sequence[SeedResult]) -> dict[str, SeedResult]:
    """Return one result a training: the same checkpoint twice is not a second seed."""
    if not results:
        raise ValueError("an arm without results cannot be compared")
    by_training: dict[str, SeedResult] = {}
    for result in results:
        by_training.setdefault(result.training, result)
    return by_training


def _paired_spread(arm: Sequence[SeedResult], baseline: Sequence[SeedResult]) -> Spread:
    points = np.array([a.point - b.point for a, b in zip(arm, baseline, strict=True)])
    replicates = _stack(arm) - _stack(baseline)
    return Spread(
        images=_variance(replicates.mean(axis=0)),
        interaction=_interaction(replicates),
        seeds=_seeds(points),
    )


def _unpaired_spread(arm: Sequence[SeedResult], baseline: Sequence[SeedResult]) -> Spread:
    points = [np.array([result.point for result in side]) for side in (arm, baseline)]
    replicates = [_stack(side) for side in (arm, baseline)]
    return Spread(
        images=_variance(replicates[0].mean(axis=0) - replicates[1].mean(axis=0)),
        interaction=sum(_interaction(side) for side in replicates),
        seeds=_welch(_seeds(points[0]), _seeds(points[1])),
    )


def _stack(results: Sequence[SeedResult]) -> Values:
    return np.stack([result.resamples for result in results])  # [S, R]


def _seeds(points: Values) -> SeedVariance | None:
    """Return the variance of the mean of `points` [S], estimated from their spread."""
    if len(points) == 1:
        return None
    # Of equal values numpy's variance is not always 0, as their mean is rounded.
    variance = float(points.var(ddof=1)) if np.ptp(points) else 0.0
    return SeedVariance(variance / len(points), len(points) - 1.0)


def _welch(first: SeedVariance | None, second: SeedVariance | None) -> SeedVariance | None:
    """Return the variance of a difference of two means, with Welch's degrees of freedom."""
    if first is None or second is None:
        return None
    variance = first.variance + second.variance
    if variance == 0.0:
        return SeedVariance(0.0, first.df + second.df)
    # As shares, because squares of small variances underflow.
    shares = (
        (first.variance / variance) ** 2 / first.df,
        (second.variance / variance) ** 2 / (second.df),
    )
    return SeedVariance(variance, 1.0 / sum(shares))


def _interaction(replicates: Values) -> float:
    """Return what the interaction of seeds and images adds to the variance of the mean.

    A seed's deviation from the mean of S varies over resamples by (1 - 1/S) of its own
    interaction, so the sum over seeds by S - 1 times that of one.
    """
    seeds = len(replicates)
    if seeds == 1:
        return 0.0
    deviations = replicates - replicates.mean(axis=0)
    return sum(_variance(row) for row in deviations) / (seeds - 1) / seeds


def _variance(replicates: Values) -> float:
    # NaN: resamples in which there was nothing to find, as may happen to rare sizes.
    known = replicates[np.isfinite(replicates)]
    if len(known) < 2:
        raise ValueError("no resample has anything to find; the metric cannot be compared")
    return float(known.var(ddof=1))
