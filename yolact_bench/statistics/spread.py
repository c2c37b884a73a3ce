"""How far a difference may be off by chance, when part of that is known and part estimated."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr, ndtri, stdtr, stdtrit

Values = NDArray[np.float64]

_POWER = 0.8
_NODES = 128  # of quadrature over what the true variance of seeds may be
_STEPS = 45  # of bisection: 14 digits
_RATIOS = np.linspace(0.0, 1.0, 33)  # seeds' share of the variance, where quantiles are tabulated


@dataclass(frozen=True, slots=True)
class Seeds:
    """Variance of a mean over seeds, estimated with `df` degrees of freedom."""

    variance: float
    df: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The error of a difference: variance from images, from seeds, and what both contain.

    The variance from images comes from thousands of them and is taken as known; that from seeds
    comes from a handful. So the difference is off by a normal deviate plus one of Student's t.
    Two distributions are used for such a sum: t with Satterthwaite's degrees of freedom, whose
    95 % intervals hold the truth too rarely (from three shared trainings 92.2 % of the time, where
    seeds have 90 % of the variance), and Behrens and Fisher's, whose intervals hold it too often
    (97.6 %, where they have 30 %). Their mean, used here, stays within 94.0 and 96.5 % with three
    seeds, whatever their share; within 92 and 98 % with two shared trainings, the least that
    shows any spread.

    Source: Satterthwaite, An approximate distribution of estimates of variance components,
    Biometrics Bulletin 2 (1946) 110-114; Fisher, The fiducial argument in statistical inference,
    Annals of Eugenics 6 (1935) 391-398. That their mean is better than either: computed by
    quadrature over the share of seeds, and held by simulation in the tests.
    """

    images: float  # variance
    interaction: float  # variance that images and seeds both contain
    seeds: Seeds | None

    def p_value(self, value: float) -> float:
        """Return the two-sided p: the largest of the tests against images, seeds, and both."""
        size = abs(value)
        if size == 0.0:
            return 1.0
        tests = [_normal_tail(size, self.images)]
        if self.seeds is not None:
            deviation = math.sqrt(self.seeds.variance)
            tests.append(2.0 * float(stdtr(self.seeds.df, -size / deviation)) if deviation else 0.0)
            both = _tail(
                np.array([size]), self._images_only, np.array([self.seeds.variance]), self.seeds.df
            )
            tests.append(float(both[0]))
        return min(1.0, max(tests))

    def half_width(self, level: float) -> float:
        """Return how far the interval of confidence 1 - `level` reaches to either side."""
        if self.seeds is None:
            return _normal_quantile(level) * math.sqrt(self.images)
        return float(
            _quantiles(self._images_only, np.array([self.seeds.variance]), self.seeds.df, level)[0]
        )

    def detectable(self, level: float) -> float:
        """Return the smallest true difference that is found with 80 % probability.

        Found is one whose p is below `level`, so it must pass all three tests. The seeds' true
        variance is not known, and neither is that which the next seeds will show: 80 % is the
        mean over both. Few seeds make this large, because they may happen to agree.
        """
        if self.seeds is None:
            return (_normal_quantile(level) + float(ndtri(_POWER))) * math.sqrt(self.images)
        true = np.maximum(_plausible(self.seeds.variance, self.seeds.df), self.interaction)
        shown = true[:, None] * _chi_squares(self.seeds.df) / self.seeds.df  # [true, shown]
        threshold = self._threshold(shown, level)
        deviation = np.sqrt(self._images_only + true)[:, None]
        low, high = 0.0, float(threshold.max() + 10.0 * deviation.max())
        if high == 0.0:
            return 0.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            found = _probability(middle - threshold, deviation).mean()
            low, high = (middle, high) if found < _POWER else (low, middle)
        return high

    @property
    def _images_only(self) -> float:
        return max(self.images - self.interaction, 0.0)

    def _threshold(self, seeds: Values, level: float) -> Values:
        """Return how large a difference must come out, where seeds show these variances."""
        assert self.seeds is not None
        known, df = self._images_only, self.seeds.df
        total = known + seeds
        share = np.divide(seeds, total, out=np.zeros_like(seeds), where=total > 0)
        both = np.interp(share, _RATIOS, _unit_quantiles(df, level)) * np.sqrt(total)
        by_seeds = float(stdtrit(df, 1.0 - level / 2)) * np.sqrt(seeds)
        by_images = _normal_quantile(level) * math.sqrt(self.images)
        return np.maximum(np.maximum(both, by_seeds), by_images)


@lru_cache(maxsize=256)
def _chi_squares(df: float) -> Values:
    """Return equally probable values of a chi-square variable."""
    return np.asarray(chdtri(df, (np.arange(_NODES) + 0.5) / _NODES), np.float64)


def _plausible(variance: float, df: float) -> Values:
    """Return equally plausible true variances, when one of `variance` was estimated."""
    return variance * df / _chi_squares(df)


def _tail(size: Values, known: float | Values, estimated: Values, df: float) -> Values:
    """Return the probability [n] of errors beyond `size` [n], for variances from seeds [n]."""
    plausible = estimated[:, None] * df / _chi_squares(df)  # [n, nodes]
    deviations = np.sqrt(np.reshape(known, (-1, 1)) + plausible)
    behrens_fisher = 2.0 * (1.0 - _probability(size[:, None], deviations).mean(axis=1))
    total = known + estimated
    share = np.divide(estimated, total, out=np.zeros(len(estimated)), where=total > 0)
    freedom = df / np.maximum(share, 1e-4) ** 2  # beyond 10^8 t is normal
    distance = np.divide(size, np.sqrt(total), out=np.full(len(estimated), np.inf), where=total > 0)
    satterthwaite = 2.0 * stdtr(freedom, -distance)
    return np.asarray((behrens_fisher + satterthwaite) / 2, np.float64)


def _probability(distance: Values, deviation: Values) -> Values:
    """Return the probability that a normal error stays below `distance`."""
    certain = (distance >= 0).astype(np.float64)
    shape = np.broadcast_shapes(distance.shape, deviation.shape)
    ratio = np.divide(distance, deviation, out=np.zeros(shape), where=deviation > 0)
    return np.where(deviation > 0, ndtr(ratio), certain)


def _normal_quantile(level: float) -> float:
    return float(ndtri(1.0 - level / 2))


def _normal_tail(size: float, variance: float) -> float:
    return 2.0 * float(ndtr(-size / math.sqrt(variance))) if variance else 0.0


def _quantiles(known: float | Values, estimated: Values, df: float, level: float) -> Values:
    """Return the half-widths [n] of intervals, for variances `estimated` [n] from seeds."""
    low = np.zeros(len(estimated))
    # Both distributions are narrower than t with the seeds' own degrees of freedom, up to what
    # quadrature leaves out.
    high = 2.0 * float(stdtrit(df, 1.0 - level / 2)) * np.sqrt(known + estimated)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        outside = _tail(middle, known, estimated, df) > level
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return high


@lru_cache(maxsize=256)
def _unit_quantiles(df: float, level: float) -> Values:
    """Return half-widths for a total variance of 1, over the seeds' share of it."""
    return _quantiles(1.0 - _RATIOS, _RATIOS, df, level)
