"""How far a difference may be off by chance, when part of that is known and part estimated."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri, stdtr, stdtrit

from yolact_bench.statistics.matches import Values

Known = float | Values  # a variance that needs no estimate
Tail = Callable[[Values, Known, Values, float], Values]

# A bootstrap of N images falls short of their variance by 1/N of it, and 1000 resamples estimate
# its root to 2 %. Tests this much wider call equal arms different in at most 5 %, not in about 5.
_CAUTION = 1.03
_POWER = 0.83  # a little above the promise: variances from images and resamples are estimates too
_NODES = 32  # of quadrature over what the true variance of seeds may be
_STEPS = 40  # of bisection: 12 digits
_RATIOS = np.linspace(0.0, 1.0, 33)  # seeds' share of the variance, where quantiles are tabulated


@dataclass(frozen=True, slots=True)
class SeedVariance:
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
    (97.6 %, where they have 30 %). The interval weighs them by the share of seeds that is seen:
    94.2 to 95.6 % from three shared trainings, closer to 95 with more or unshared ones, but down to
    91 % from two shared ones. The test takes the careful distribution alone, so that equal arms are
    called different in at most 5 %.

    Source: Satterthwaite, An approximate distribution of estimates of variance components,
    Biometrics Bulletin 2 (1946) 110-114; Fisher, The fiducial argument in statistical inference,
    Annals of Eugenics 6 (1935) 391-398. The percentages: by quadrature over the share of seeds;
    the tests repeat them by simulation.
    """

    images: float  # variance
    interaction: float  # variance that images and seeds both contain
    seeds: SeedVariance | None

    def p_value(self, value: float) -> float:
        """Return the two-sided p: the largest of the tests against images, seeds, and both."""
        size = abs(value)
        if self._is_zero:
            return 0.0 if size else 1.0
        tests = [_normal_tail(size / _CAUTION, self.images)]
        if self.seeds is not None:
            tests.append(_student_tail(size, self.seeds))
            both = _careful_tail(np.array([size]), *self._both())
            tests.append(float(both[0]))
        return min(1.0, max(tests))

    def half_width(self, level: float) -> float:
        """Return how far the interval of confidence 1 - `level` reaches to either side."""
        if self._is_zero:
            return 0.0
        if self.seeds is None:
            return _normal_quantile(level) * math.sqrt(self.images)
        return float(_quantiles(_weighted_tail, *self._both(), level)[0])

    def detectable(self, level: float) -> float:
        """Return the smallest true difference that is found with 80 % probability.

        Found is one whose p is below `level`, so it must pass all three tests. The seeds' true
        variance is not known, and neither is that which the next seeds will show: 80 % is the
        mean over both. Few seeds make this large, because they may happen to agree.
        """
        if self._is_zero:
            return 0.0
        if self.seeds is None:
            threshold = _CAUTION * _normal_quantile(level)
            return (threshold + float(ndtri(_POWER))) * math.sqrt(self.images)
        chi_square, probability = _chi_squares(self.seeds.df)
        true = np.maximum(self.seeds.variance * self.seeds.df / chi_square, self.interaction)
        observed = true[:, None] * chi_square / self.seeds.df  # [true, observed]
        thresholds = self._threshold(observed, level)
        deviation = np.sqrt(self._images_only + true)[:, None]
        low, high = 0.0, float(thresholds.max() + 10.0 * deviation.max())
        for _ in range(_STEPS):
            middle = (low + high) / 2
            power = probability @ ndtr((middle - thresholds) / deviation) @ probability
            low, high = (middle, high) if power < _POWER else (low, middle)
        return high

    @property
    def _images_only(self) -> float:
        return max(self.images - self.interaction, 0.0)

    @property
    def _is_zero(self) -> bool:
        """Whether nothing varies at all, as between an arm and itself."""
        return self.images == 0.0 and (self.seeds is None or self.seeds.variance == 0.0)

    def _both(self) -> tuple[float, Values, float]:
        """Return what the tails take: the variance known, that from seeds [1], its df.

        Seeds contain the interaction, so where they happen to agree to the last digit they hide
        it: then it is not taken off that from images, and no interval has a width of 0.
        """
        assert self.seeds is not None
        known = self._images_only if self.seeds.variance else self.images
        return known, np.array([self.seeds.variance]), self.seeds.df

    def _threshold(self, seeds: Values, level: float) -> Values:
        """Return how large a difference must come out, where seeds show these variances."""
        assert self.seeds is not None
        known, df = self._images_only, self.seeds.df
        total = known + seeds
        both = np.interp(seeds / total, _RATIOS, _unit_quantiles(df, level)) * np.sqrt(total)
        by_seeds = float(stdtrit(df, 1.0 - level / 2)) * np.sqrt(seeds)
        by_images = _CAUTION * _normal_quantile(level) * math.sqrt(self.images)
        return np.maximum(np.maximum(both, by_seeds), by_images)


@lru_cache(maxsize=256)
def _chi_squares(df: float) -> tuple[Values, Values]:
    """Return values of a chi-square variable [nodes] and their probabilities [nodes].

    Gauss-Legendre in the cube root of the probability, which puts nodes where chi-square is
    nearly 0: there the true variance may be many times the one seen, which makes long tails.
    """
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    root = (node + 1) / 2
    probability = 3 * root**2 * weight / 2
    return 2 * np.asarray(gammaincinv(df / 2, root**3)), probability / probability.sum()


def _careful_tail(size: Values, known: Known, estimated: Values, df: float) -> Values:
    """Return the probability [n] of an error beyond `size` [n], as Behrens and Fisher have it."""
    chi_square, probability = _chi_squares(df)
    plausible = estimated[:, None] * df / chi_square  # [n, nodes]
    deviations = np.sqrt(np.reshape(known, (-1, 1)) + plausible)
    beyond: Values = ndtr(-size[:, None] / deviations) @ probability
    return 2.0 * beyond


def _weighted_tail(size: Values, known: Known, estimated: Values, df: float) -> Values:
    """Return that of Behrens and Fisher by the share of seeds, of Satterthwaite for the rest."""
    total = known + estimated
    share = estimated / total
    freedom = df / np.maximum(share, 1e-4) ** 2  # beyond 10^8 t is normal
    satterthwaite = 2.0 * np.asarray(stdtr(freedom, -size / np.sqrt(total)), np.float64)
    careful = _careful_tail(size, known, estimated, df)
    return share * careful + (1.0 - share) * satterthwaite


def _normal_quantile(level: float) -> float:
    return float(ndtri(1.0 - level / 2))


def _normal_tail(size: float, variance: float) -> float:
    return 2.0 * float(ndtr(-size / math.sqrt(variance))) if variance else float(size == 0.0)


def _student_tail(size: float, seeds: SeedVariance) -> float:
    if seeds.variance == 0.0:
        return float(size == 0.0)
    return 2.0 * float(stdtr(seeds.df, -size / math.sqrt(seeds.variance)))


def _quantiles(tail: Tail, known: Known, estimated: Values, df: float, level: float) -> Values:
    """Return the errors [n] beyond which `tail` leaves `level`, for variances from seeds [n]."""
    low = np.zeros(len(estimated))
    # Both distributions are narrower than t with the seeds' own degrees of freedom, up to what
    # quadrature leaves out.
    high = 2.0 * float(stdtrit(df, 1.0 - level / 2)) * np.sqrt(known + estimated)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        outside = tail(middle, known, estimated, df) > level
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return high


@lru_cache(maxsize=256)
def _unit_quantiles(df: float, level: float) -> Values:
    """Return how large an error counts at a total variance of 1, over the seeds' share of it."""
    return _quantiles(_careful_tail, 1.0 - _RATIOS, _RATIOS, df, level)
