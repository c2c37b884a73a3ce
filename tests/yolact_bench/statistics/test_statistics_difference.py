"""Differences between arms: what seeds and images say, and what neither can."""

import math

import numpy as np
import pytest
from scipy.special import stdtr

from yolact_bench.statistics.difference import SeedResult, difference, holm
from yolact_bench.statistics.spread import SeedVariance, Spread

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(8, 2_000))
# Rows that are orthogonal to each other, of mean 0 and sample variance 1: what a variance of
# their sums must be is then known without chance.
NOISE -= NOISE.mean(axis=1, keepdims=True)
NOISE = np.linalg.qr(NOISE.T)[0].T * np.sqrt(NOISE.shape[1] - 1)


def result(point: float, noise: np.ndarray | float, training: str, seed: int = 0) -> SeedResult:
    resamples = np.broadcast_to(point + noise, NOISE.shape[1:])
    return SeedResult(point=point, resamples=resamples, training=training, seed=seed)


def test_an_arm_and_itself_do_not_differ() -> None:
    arm = [result(0.3 + seed / 100, NOISE[seed], f"t{seed}", seed) for seed in range(3)]
    found = difference(arm, arm)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert (found.p, found.mde, found.image_se, found.seed_se) == (1.0, 0.0, 0.0, 0.0)
    assert found.testable
    assert found.pairs == 3


def test_one_shared_checkpoint_is_judged_on_images_alone() -> None:
    """Δ = 0.02, standard error 0.01: z = 2 / 1.03, p = 0.0522, interval ± 1.96 · 0.01."""
    common = 0.05 * NOISE[0]
    baseline = [result(0.30, common, "t")]
    arm = [result(0.32, common + 0.01 * NOISE[1], "t")]
    found = difference(arm, baseline)
    assert found.value == pytest.approx(0.02)
    assert found.image_se == pytest.approx(0.01)
    assert (found.low, found.high) == pytest.approx((0.0004004, 0.0395996), abs=1e-7)
    assert found.p == pytest.approx(0.052168, abs=1e-5)
    assert found.seed_se is None
    assert found.testable
    assert 0.0286 <= found.mde <= 0.0300  # (1.03 · 1.960 + 0.842) · 0.01, and a little more


def test_different_trainings_with_one_seed_are_not_judged() -> None:
    found = difference([result(0.5, 0.01 * NOISE[0], "a")], [result(0.3, 0.01 * NOISE[1], "b")])
    assert not found.testable
    assert found.seed_se is None
    assert found.mde == math.inf
    assert found.p < 1e-6  # of images; says nothing about seeds
    assert found.image_se == pytest.approx(0.01 * math.sqrt(2))
    three = [result(0.5, 0.01 * NOISE[seed], f"a{seed}", seed) for seed in range(3)]
    assert not difference(three, [result(0.3, 0.01 * NOISE[4], "b")]).testable


def test_the_seeds_of_different_trainings_are_not_paired() -> None:
    """Points 1, 2, 3 and 2, 4, 6: variances 1 and 4, so (1 + 4) / 3 of the difference of means."""
    arm = [result(float(n), 0.0, f"a{n}", n) for n in (1, 2, 3)]
    baseline = [result(2.0 * n, 0.0, f"b{n}", n) for n in (1, 2, 3)]
    found = difference(arm, baseline)
    assert found.value == pytest.approx(-2.0)
    assert found.seed_se == pytest.approx(math.sqrt(5 / 3))
    assert found.pairs == 3
    # Welch: (1 + 4)² / (1² / 2 + 4² / 2) = 25 / 8.5 degrees of freedom.
    assert found.p == pytest.approx(2 * stdtr(25 / 8.5, -2 / math.sqrt(5 / 3)), rel=1e-6)


def test_shared_trainings_are_paired_by_training_whatever_their_seeds() -> None:
    """Differences 1, 1 and 4, in another order: mean 2, with a variance of 3 / 3."""
    base = {"x": 10.0, "y": 20.0, "z": 60.0}
    baseline = [result(point, 0.0, name, seed) for seed, (name, point) in enumerate(base.items())]
    changed = {"z": 64.0, "y": 21.0, "x": 11.0}
    arm = [result(point, 0.0, name, seed) for seed, (name, point) in enumerate(changed.items())]
    found = difference(arm, baseline)
    assert found.value == pytest.approx(2.0)
    assert found.seed_se == pytest.approx(1.0)
    assert found.p == pytest.approx(0.1835, abs=1e-4)  # t = 2 with 2 degrees of freedom


def test_only_trainings_that_both_have_are_paired() -> None:
    baseline = [result(0.3, 0.01 * NOISE[seed], f"t{seed}", seed) for seed in range(3)]
    arm = [result(0.4, 0.01 * NOISE[seed], f"t{seed}", seed) for seed in (0, 2)]
    found = difference(arm, baseline)
    assert found.pairs == 2
    assert found.value == pytest.approx(0.1)
    assert found.image_se == pytest.approx(0.0, abs=1e-9)


def test_the_same_training_twice_is_no_second_seed() -> None:
    """A checkpoint from elsewhere does not depend on the seed: three equal rows are one."""
    arm = [result(0.4, 0.01 * NOISE[0], "released", seed) for seed in range(3)]
    other = [result(0.3, 0.01 * NOISE[1], "also released", seed) for seed in range(3)]
    assert not difference(arm, other).testable


def test_what_images_and_seeds_share_is_not_counted_twice() -> None:
    """Three paired seeds of variance 9, 9 and 9 over resamples, each by itself.

    The mean varies by 9 / 3 = 3, and that is all interaction. The points spread by 12, so seeds
    give 12 / 3 = 4, of which 3 are the interaction: together 4, not 7.
    """
    points = [0.0, 2 * math.sqrt(3), -2 * math.sqrt(3)]  # mean 0, sample variance 12
    arm = [result(point, 3 * NOISE[n], f"t{n}", n) for n, point in enumerate(points)]
    baseline = [result(0.0, 0.0, f"t{n}", n) for n in range(3)]
    found = difference(arm, baseline)
    assert found.image_se == pytest.approx(math.sqrt(3))
    assert found.seed_se == pytest.approx(2.0)
    # Only seeds are left: Student's t with 2 degrees of freedom, 4.303 standard errors of 2.
    assert found.high == pytest.approx(4.303 * 2, rel=1e-4)


def test_seeds_that_agree_by_chance_leave_the_spread_of_the_images() -> None:
    """All variance from images is interaction: 0.01² in all, of which the seeds show none.

    A difference of a tenth of the deviation has the p of a normal deviate, 2 Φ(-0.1 / 1.03).
    """
    spread = Spread(images=1e-4, interaction=1e-4, seeds=SeedVariance(0.0, 1.0))
    assert spread.half_width(0.05) == pytest.approx(1.96 * 0.01, rel=1e-3)
    assert spread.p_value(0.001) == pytest.approx(1 + math.erf(-0.1 / 1.03 / math.sqrt(2)))
    assert spread.p_value(0.1) < 1e-9
    assert spread.detectable(0.05) > spread.half_width(0.05)


def test_equal_points_have_no_spread_of_seeds_although_their_mean_is_rounded() -> None:
    """numpy's variance of three times 0.1 is 1e-34, beside which the interval would vanish.

    All variance of the images is interaction, 0.01² / 3 of the mean.
    """
    assert np.full(3, 0.1).var(ddof=1) > 0
    arm = [result(0.1, 0.01 * NOISE[n], f"t{n}", n) for n in range(3)]
    baseline = [result(0.0, 0.0, f"t{n}", n) for n in range(3)]
    one = difference(arm, baseline)
    assert one.high - one.value == pytest.approx(1.96 * 0.01 / math.sqrt(3), rel=1e-3)


def test_images_and_seeds_must_both_allow_a_difference() -> None:
    """Three standard errors of images are nothing where seeds spread ten times as far."""
    images, seeds = SeedVariance(1.0, 4.0), SeedVariance(100.0, 4.0)
    alone = Spread(images=1.0, interaction=0.0, seeds=None)
    assert alone.p_value(3.0) == pytest.approx(0.0036, abs=1e-4)  # 3 / 1.03 errors
    assert Spread(images=1.0, interaction=0.0, seeds=seeds).p_value(3.0) > 0.7
    assert Spread(images=100.0, interaction=0.0, seeds=images).p_value(3.0) > 0.7


@pytest.mark.parametrize(("df", "quantile"), [(1.0, 12.706), (2.0, 4.3027), (4.0, 2.7764)])
def test_with_seeds_alone_the_interval_is_students(df: float, quantile: float) -> None:
    spread = Spread(images=0.0, interaction=0.0, seeds=SeedVariance(1.0, df))
    assert spread.half_width(0.05) == pytest.approx(quantile, rel=1e-4)
    assert spread.p_value(quantile) == pytest.approx(0.05, rel=0.001)


def test_with_many_seeds_everything_is_normal() -> None:
    """Variances 9 and 16: one standard error is 5, and 80 % are found at (1.96 + 0.84) · 5."""
    spread = Spread(images=9.0, interaction=0.0, seeds=SeedVariance(16.0, 1e5))
    assert spread.half_width(0.05) == pytest.approx(1.95996 * 5, rel=1e-3)
    assert 2.80 * 5 <= spread.detectable(0.05) <= 2.95 * 5


def test_a_stricter_level_or_fewer_seeds_make_the_detectable_difference_larger() -> None:
    def detectable(df: float, level: float) -> float:
        return Spread(images=1.0, interaction=0.5, seeds=SeedVariance(1.0, df)).detectable(level)

    assert detectable(8.0, 0.05) < detectable(4.0, 0.05) < detectable(2.0, 0.05)
    assert detectable(4.0, 0.05) < detectable(4.0, 0.05 / 10)


def test_what_is_always_larger_than_its_detectable_size_is_real() -> None:
    spread = Spread(images=1.0, interaction=0.5, seeds=SeedVariance(1.0, 4.0))
    assert spread.p_value(spread.detectable(0.05)) < 0.05


def test_holm_multiplies_the_smallest_by_the_number_of_tests() -> None:
    """0.01 · 4, then 0.02 · 3 = 0.06, 0.03 · 2 = 0.06, 0.5 · 1; never falling, never above 1."""
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.01, 0.011]) == pytest.approx([0.02, 0.02])
    assert holm([]) == []


def test_results_on_different_resamples_are_refused() -> None:
    def on(sampling: str, count: int) -> list[SeedResult]:
        return [
            SeedResult(
                point=0.3, resamples=NOISE[0][:count], training="t", seed=0, sampling=sampling
            )
        ]

    with pytest.raises(ValueError, match="different resamples"):
        difference(on("a", 100), on("b", 100))
    with pytest.raises(ValueError, match="different resamples"):
        difference(on("a", 100), on("a", 99))
    with pytest.raises(ValueError, match="without results"):
        difference([], on("a", 100))


def test_resamples_without_anything_to_find_are_left_out() -> None:
    def with_gap(point: float, noise: np.ndarray, training: str) -> SeedResult:
        resamples = point + noise
        resamples[:50] = np.nan
        return SeedResult(point=point, resamples=resamples, training=training, seed=0)

    found = difference([with_gap(0.4, 0.01 * NOISE[0], "t")], [with_gap(0.3, 0.02 * NOISE[1], "t")])
    assert found.image_se == pytest.approx(0.01 * math.sqrt(5), rel=0.1)
    nothing = [with_gap(math.nan, 0.0 * NOISE[0], "t")]
    with pytest.raises(ValueError, match="no resample has anything"):
        difference(nothing, nothing)
