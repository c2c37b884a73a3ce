"""Intervals of medians and ratios of times: they cover what they say, on restless machines too."""

import math

import numpy as np
import pytest

from tests.support import fake_work
from yolact_bench.statistics.quantile import quantile
from yolact_bench.statistics.timing import (
    block_length,
    median_interval,
    paired_ratio,
    period_of,
    rel_half_width,
)


def restless(random: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Noise of standard deviation 1 whose neighbours correlate by `rho`."""
    noise = random.standard_normal(n + 50)
    for place in range(1, n + 50):
        noise[place] = rho * noise[place - 1] + noise[place] * math.sqrt(1 - rho**2)
    return noise[50:]


def test_pairing_rounds_removes_what_image_and_clock_share() -> None:
    """Images differ ten-fold; every round takes 1.1 times as long: the ratio is 1.1 exactly."""
    reference = [10.0 ** (place % 3 / 2) for place in range(60)]
    ratio, interval = paired_ratio([1.1 * ms for ms in reference], reference)
    assert ratio == pytest.approx(1.1)
    assert interval == pytest.approx((1.1, 1.1))


@pytest.mark.parametrize(("rho", "n"), [(0.0, 80), (0.5, 80), (0.7, 200)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(rho: float, n: int) -> None:
    """Of 100 series with noise of 5 %, 95 % are 95: fewer than 87 would be a broken interval.

    P(fewer than 87) is 0.03 % where the coverage is 95 %, 4 % where it is 90 %.
    """
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        noise = np.exp(0.05 * restless(random, n, rho))
        _, interval = paired_ratio(list(1.2 * noise), [1.0] * n, resamples=300)
        assert interval is not None
        covered += interval[0] <= 1.2 <= interval[1]
    assert covered >= 87


def test_noise_that_lasts_for_some_rounds_widens_the_interval() -> None:
    """The same values as they came or shuffled: those that came in swells tell less."""
    swells = np.exp(0.1 * restless(np.random.default_rng(3), 200, 0.8))
    shuffled = np.random.default_rng(0).permutation(swells)
    _, wide = paired_ratio(list(swells), [1.0] * 200)
    _, narrow = paired_ratio(list(shuffled), [1.0] * 200)
    assert rel_half_width(wide) > 1.5 * rel_half_width(narrow)


def test_blocks_are_longer_where_neighbours_resemble_each_other() -> None:
    """512^(1/3) = 8 rounds without; with a correlation of 0.7,
    (6 · (0.7 / 0.51)²)^(1/3) = 2.24 times as many: 18."""
    random = np.random.default_rng(0)
    assert block_length(random.standard_normal(512)) == 8
    assert 14 <= block_length(restless(random, 512, 0.7)) <= 22


def test_which_images_there_are_is_no_chance() -> None:
    """16 images whose times differ two-fold, all with noise of 1 %, 8 times each.

    As if drawn at random, their median would be known to some 20 %; but they are always the
    same ones.
    """
    random = np.random.default_rng(2)
    of_image = np.exp(0.3 * random.standard_normal(16))
    samples = [
        of_image[place % 16] * math.exp(0.01 * random.standard_normal()) for place in range(128)
    ]
    assert rel_half_width(median_interval(samples)) > 0.05
    assert rel_half_width(median_interval(samples, period=16)) < 0.015


def test_the_calls_of_one_round_are_no_samples_of_their_own() -> None:
    """Noise of 5 % between 40 rounds of 32 calls, 1 % within: the rounds decide, 5 % · 1.25 ·
    1.96 / √40 = 1.9 %; as if all 1280 calls were independent it were a sixth of that."""
    random = np.random.default_rng(4)
    noise = np.repeat(0.05 * random.standard_normal(40), 32) + 0.01 * random.standard_normal(1280)
    found = rel_half_width(median_interval(list(np.exp(noise)), calls=32))
    assert 0.012 < found < 0.035


def test_without_resamples_the_ratio_has_no_interval() -> None:
    """Of ratios 1.1, 1.2 and 0.9 the median is 1.1."""
    samples, reference = 4 * [11.0, 24.0, 27.0], 4 * [10.0, 20.0, 30.0]
    ratio, interval = paired_ratio(samples, reference, resamples=0)
    assert (ratio, interval) == (paired_ratio(samples, reference)[0], None)
    assert ratio == pytest.approx(1.1)


def test_a_quantile_lies_between_its_neighbours_in_proportion() -> None:
    """0.9 of the way through four places is place 2.7 of 0 to 3: 0.7 from 4 to 8."""
    samples = [8.0, 1.0, 4.0, 2.0]
    assert quantile(samples, 0.9) == pytest.approx(4 + 0.7 * 4)
    assert [quantile(samples, q) for q in (0.0, 0.5, 1.0)] == [1.0, 3.0, 8.0]
    assert quantile([5.0], 0.9) == 5.0


def test_quantiles_of_records_have_the_digits_of_those_in_tables() -> None:
    """From the lower neighbour up; from the upper one down the last digit would be another."""
    low, high = 0.1, 0.3
    upwards, downwards = low + 0.9 * (high - low), high - (1 - 0.9) * (high - low)
    assert upwards != downwards
    record = fake_work.latency("fast", samples_ms=(high, low))
    assert record.quantile_ms(0.9) == quantile([high, low], 0.9) == upwards


def test_fewer_than_ten_rounds_have_no_interval() -> None:
    assert paired_ratio([2.0] * 9, [1.0] * 9) == (pytest.approx(2.0), None)
    assert median_interval([2.0] * 80, calls=10) is None
    assert rel_half_width(None) == math.inf


def test_the_half_width_is_relative_to_the_centre() -> None:
    assert rel_half_width((99.0, 101.0)) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("image_ids", "period"),
    [((7, 8, 9, 7, 8, 9, 7), 3), ((7, 7, 7), 1), ((7, 8, 9), 1), ((7, 8, 7, 9), 1)],
)
def test_the_period_is_when_the_images_begin_anew(image_ids: tuple[int, ...], period: int) -> None:
    assert period_of(image_ids) == period
