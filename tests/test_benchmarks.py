"""The harness of the benchmarks: what it stores, and the table that comes of it."""

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from runners.timing.clocks import CallTime
from tests.benchmarks import alternating
from tests.benchmarks.alternating import Ratio, at_threads, compare
from tests.benchmarks.table import table_of


class FakeClock:
    """Time that passes only where somebody says so."""

    def __init__(self) -> None:
        self.now_ms = 0.0

    def spend(self, milliseconds: float) -> None:
        self.now_ms += milliseconds

    def timed(self, call: Callable[[], object]) -> CallTime:
        before = self.now_ms
        call()
        return CallTime(self.now_ms - before, 0.0)


def test_an_arm_that_does_a_third_is_three_times_as_fast(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.disabled = False  # as `make bench` has it
    clock = FakeClock()
    monkeypatch.setattr(alternating, "wall_clock", clock.timed)
    arms = {"plain": lambda: clock.spend(6.0), "fast": lambda: clock.spend(2.0)}
    compared = compare(benchmark, "busy waiting", arms, reference="plain", target=2.0, moonshot=4.0)
    assert compared["fast"].value == pytest.approx(3.0)
    table = table_of({"benchmarks": [{"extra_info": benchmark.extra_info}]})
    assert "2 × ✓ | 4 × ✗" in table


def extra(row: str, ratio: Ratio, **changed: object) -> dict[str, object]:
    fast = {name: getattr(ratio, name) for name in ratio.__slots__}
    env = {"device": "CPU", "os": "Linux", "versions": {}, "commit": "c", "dirty": False}
    return {
        "extra_info": {
            "row": row,
            "group": None,
            "reference": "plain",
            "rate": None,
            "target": {"fast": 4.0},
            "moonshot": {"fast": 5.0},
            "threads": 1,
            "load_average": 0.0,
            "reference_ms": 8.0,
            "arms": {"fast": fast},
            "samples_ms": {"plain": [8.0]},
            "environment": env,
            **changed,
        }
    }


def ratio(value: float, **changed: object) -> Ratio:
    facts = {"interval": None, "cpu": value, "ms": 1.0, "cpu_ms": 1.0, "rate": 1000.0, **changed}
    return Ratio(value=value, **facts)  # type: ignore[arg-type]


def test_a_group_is_told_by_its_geometric_mean() -> None:
    """√(2 · 8) = 4; both intervals reach 10 % down, so the mean's reaches exp(√2·ln 0.9 / 2)."""
    members = [
        extra(f"C{n}", ratio(value, interval=(value * 0.9, value / 0.9)), group="layers")
        for n, value in ((3, 2.0), (4, 8.0))
    ]
    (line,) = [text for text in table_of({"benchmarks": members}).splitlines() if "mean" in text]
    assert "layers: fast (geometric mean of 2)" in line
    assert "4.00 [3.71, 4.31]" in line  # 0.9 ** 0.7071 = 0.928
    assert "4 × ✓ | 5 × ✗" in line


def test_a_rate_is_held_against_the_target_instead_of_the_ratio() -> None:
    row = extra("loader", ratio(2.0, rate=350.0), rate="images/s", target={"fast": 300})
    assert "350 images/s, 2.00 | 2.00 | 300 images/s ✓" in table_of({"benchmarks": [row]})


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with at_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
