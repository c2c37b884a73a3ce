"""Times compare within one session, on one device, round by round."""

import math
from pathlib import Path

import fake_work
import numpy as np
import pytest

from reports.timing import paired_ratio, read_session
from yolact_bench.results.record import Latency
from yolact_bench.results.store import Store

DIGESTS = {0: {arm: f"d-{arm}-0" for arm in fake_work.ARMS}}


def _store(tmp_path: Path, *latencies: Latency) -> Store:
    store = Store(tmp_path / "results.jsonl")
    for latency in latencies:
        store.add(latency)
    return store


def test_pairing_rounds_removes_what_image_and_clock_share() -> None:
    """Images differ ten-fold; every round takes 1.1 times as long: the ratio is 1.1 exactly."""
    reference = [10.0 ** (place % 3 / 2) for place in range(60)]
    ratio, interval = paired_ratio([1.1 * ms for ms in reference], reference)
    assert ratio == pytest.approx(1.1)
    assert interval == pytest.approx((1.1, 1.1))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 60 series with noise of 5 %, 95 % are 57: fewer than 51 would be a broken interval."""
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        noise = np.exp(0.05 * random.standard_normal(80))
        _, interval = paired_ratio(list(1.2 * noise), [1.0] * 80)
        assert interval is not None
        covered += interval[0] <= 1.2 <= interval[1]
    assert covered >= 51


def test_noise_that_lasts_for_some_rounds_widens_the_interval() -> None:
    """The same values, sorted in waves of 20 rounds or shuffled: waves tell less."""
    waves = np.exp([0.1 * math.sin(place / 3.2) for place in range(100)])
    shuffled = np.random.default_rng(0).permutation(waves)
    _, wide = paired_ratio(list(waves), [1.0] * 100)
    _, narrow = paired_ratio(list(shuffled), [1.0] * 100)
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] > 1.3 * (narrow[1] - narrow[0])


def test_fewer_than_ten_rounds_have_no_interval() -> None:
    assert paired_ratio([2.0] * 9, [1.0] * 9) == (pytest.approx(2.0), None)


def test_an_arm_of_another_session_is_refused(tmp_path: Path) -> None:
    store = _store(
        tmp_path,
        fake_work.latency("deformable", session="old"),
        fake_work.latency("fast", session="new"),
        fake_work.latency("sequential", session="new"),
    )
    session = read_session(store, DIGESTS, "fast")
    assert session is not None
    assert session.name == "new"
    assert set(session.timings) == {"fast", "sequential"}
    assert "not timed in the same session" in session.refused["deformable"]


def test_of_complete_sessions_the_latest_counts(tmp_path: Path) -> None:
    faster = tuple(10.0 for _ in range(fake_work.ROUNDS))
    store = _store(
        tmp_path,
        fake_work.latency("fast", session="s1"),
        fake_work.latency("fast", session="s2", samples_ms=faster),
    )
    session = read_session(store, DIGESTS, "fast")
    assert session is not None
    assert session.timings["fast"].median_ms == 10.0
    assert session.timings["fast"].fps == 100.0  # 1000 / 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"environment": fake_work.environment(device="Other GPU")},
            "device Other GPU here, Example (CPU) with the others",
        ),
        ({"environment": fake_work.environment(threads=1)}, "threads 1 here, 2 with the others"),
        ({"timer": "CUDA events"}, "timer CUDA events here, wall clock with the others"),
        ({"scenario": "network"}, "scenario network here, end_to_end with the others"),
    ],
)
def test_a_time_of_another_device_or_timer_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    store = _store(tmp_path, fake_work.latency("fast"), fake_work.latency("sequential", **change))
    session = read_session(store, DIGESTS, "fast")
    assert session is not None
    assert reason in session.refused["sequential"]
    assert set(session.timings) == {"fast"}


def test_rounds_on_other_images_have_no_ratio(tmp_path: Path) -> None:
    other = tuple(range(fake_work.ROUNDS))
    store = _store(
        tmp_path, fake_work.latency("fast"), fake_work.latency("sequential", image_ids=other)
    )
    session = read_session(store, DIGESTS, "fast")
    assert session is not None
    assert session.timings["sequential"].ratio is None


@pytest.mark.parametrize(
    ("n", "p90", "p99"), [(63, False, False), (64, True, False), (662, True, True)]
)
def test_far_quantiles_need_enough_samples(tmp_path: Path, n: int, p90: bool, p99: bool) -> None:
    samples = tuple(float(place) for place in range(n))
    store = _store(tmp_path, fake_work.latency("fast", samples_ms=samples, image_ids=(1,) * n))
    session = read_session(store, DIGESTS, "fast")
    assert session is not None
    timing = session.timings["fast"]
    assert (timing.p90_ms is not None, timing.p99_ms is not None) == (p90, p99)
    if timing.p90_ms is not None:
        assert timing.p90_ms == pytest.approx(0.9 * (n - 1))  # samples 0, 1, …, n − 1


def test_stages_stand_in_order_of_execution(tmp_path: Path) -> None:
    session = read_session(_store(tmp_path, fake_work.latency("fast")), DIGESTS, "fast")
    assert session is not None
    stages = session.timings["fast"].stages_ms
    assert list(stages) == ["preprocess", "backbone", "head", "nms", "upsample"]
    assert stages["nms"] == pytest.approx(6.0)  # 0.15 × 40
