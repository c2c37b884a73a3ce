"""The order of timing, warm-up, and the stage clock; with clocks that do not tick by themselves."""

from collections.abc import Callable

import pytest

from runners.timing import clocks as latency
from runners.timing.clocks import (
    TIMERS,
    StageClock,
    Step,
    time_together,
    timer_for,
    wall_ms,
    warm_up,
)
from yolact_bench.clock import STAGES


def test_a_clock_that_slows_down_does_not_favour_the_arm_timed_first() -> None:
    """Two equal arms, a GPU that gets 0.1 % slower with every call: equal means, within noise."""
    calls = 0

    def drifting(step: Callable[[], object]) -> float:
        nonlocal calls
        calls += 1
        return 10.0 * 1.001**calls

    samples = time_together({"a": int, "b": int}, drifting, rounds=200, warmup=0)

    mean = {name: sum(s) / len(s) for name, s in samples.items()}
    assert abs(mean["a"] / mean["b"] - 1) < 1e-3


def recorder(calls: list[tuple[str, int]], name: str) -> Step:
    return lambda number: calls.append((name, number))


def run(call: Callable[[], object]) -> float:
    call()
    return 1.0


def test_every_arm_runs_once_in_every_round_in_changing_order() -> None:
    calls: list[tuple[str, int]] = []
    steps = {name: recorder(calls, name) for name in "abc"}

    time_together(steps, run, rounds=30, warmup=0, seed=1)

    rounds = [calls[start : start + 3] for start in range(0, 90, 3)]
    for number, in_round in enumerate(rounds):
        assert sorted(in_round) == [("a", number), ("b", number), ("c", number)]
    # 30 draws of 6 orders: all the same has a chance of 6^-29.
    assert len({tuple(name for name, _ in in_round) for in_round in rounds}) > 1


def test_the_same_seed_gives_the_same_order() -> None:
    orders = []
    for _ in range(2):
        calls: list[tuple[str, int]] = []
        steps = {name: recorder(calls, name) for name in "abcd"}
        time_together(steps, run, rounds=10, warmup=0, seed=7)
        orders.append(calls)
    assert orders[0] == orders[1]


def test_warm_up_calls_are_no_samples() -> None:
    calls: list[tuple[str, int]] = []
    samples = time_together({"a": recorder(calls, "a")}, run, rounds=4, warmup=3)
    assert len(calls) == 7
    assert len(samples["a"]) == 4


@pytest.mark.parametrize(("seconds", "rounds"), [(25.0, 13), (3.0, 10), (1e9, 50)])
def test_time_ends_the_rounds_but_not_before_the_tenth(seconds: float, rounds: int) -> None:
    """Two arms of 1 s: a round takes 2 s. The 13th starts at 24 s < 25 s, the 14th at 26 s."""
    now = 0.0

    def second(call: Callable[[], object]) -> float:
        nonlocal now
        now += 1.0
        return 1000.0

    samples = time_together(
        {"a": int, "b": int}, second, rounds=50, warmup=0, max_seconds=seconds, now=lambda: now
    )
    assert {name: len(s) for name, s in samples.items()} == {"a": rounds, "b": rounds}


def test_warm_up_goes_on_until_times_are_flat() -> None:
    """Times fall by 10 % a call for 30 calls, then stay: call 30 and later are the 31st value.

    Windows are a quarter of the calls, 8 of 34: at call 34 the windows are calls 18-25 and 26-33,
    medians about 0.9^21.5 and 0.9^29: apart. At 60, calls 30-44 and 45-59 are equal.
    """
    times = [100.0 * 0.9 ** min(call, 30) for call in range(100)]
    made = warm_up(int, lambda step: times.pop(0), calls=20)
    assert 35 <= made.calls <= 60
    assert made.stable


def test_warm_up_of_a_restless_machine_ends_at_five_times_the_calls() -> None:
    ms = 1.0

    def doubling(step: Callable[[], object]) -> float:
        nonlocal ms
        ms *= 2
        return ms

    assert warm_up(int, doubling, calls=4) == (20, False)


def test_warm_up_of_a_slow_arm_ends_with_its_time_but_not_before_three_calls() -> None:
    now = 0.0

    def minute(step: Callable[[], object]) -> float:
        nonlocal now
        now += 60.0
        return 60_000.0

    assert warm_up(int, minute, calls=20, max_seconds=300.0, now=lambda: now).calls == 5
    assert warm_up(int, minute, calls=20, max_seconds=1.0, now=lambda: now).calls == 3


def test_warm_up_of_short_calls_lasts_as_long_as_is_asked() -> None:
    """Calls of 1 ms, all equal: flat after 20, but a second has 1000 of them."""
    now = 0.0

    def millisecond(step: Callable[[], object]) -> float:
        nonlocal now
        now += 0.001
        return 1.0

    made = warm_up(int, millisecond, calls=20, min_seconds=1.0, now=lambda: now)
    assert 1000 <= made.calls <= 1001  # sums of 0.001 round
    assert made.stable


def test_the_wall_clock_times_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([1_000_000, 3_500_000])
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: next(ticks))
    assert wall_ms(int) == 2.5


def test_the_stage_clock_adds_up_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """nms takes 1 + 2 ms, head 4 ms."""
    ticks = iter(ms * 1_000_000 for ms in (0, 1, 10, 12, 20, 24))
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: next(ticks))
    clock = StageClock("cpu")
    for stage in ("nms", "nms", "head"):
        with clock(stage):
            pass
    assert clock.take() == {"nms": 3.0, "head": 4.0}
    assert clock.take() == {}


def test_the_stage_clock_knows_its_stages() -> None:
    with pytest.raises(AssertionError, match="nmss"), StageClock("cpu")("nmss"):
        pass
    assert "nms" in STAGES


def test_a_gpu_is_timed_with_events_and_a_cpu_with_the_wall_clock() -> None:
    assert timer_for("cuda") == "CUDA events"
    assert timer_for("cpu") == "wall clock"
    assert {timer_for("cuda"), timer_for("cpu"), "CPU time"} == set(TIMERS)


@pytest.mark.gpu
def test_events_see_what_the_gpu_does() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x = torch.ones(4096, 4096, device="cuda")
    one = min(TIMERS["CUDA events"](lambda: x @ x) for _ in range(5))
    twenty = min(TIMERS["CUDA events"](lambda: [x @ x for _ in range(20)]) for _ in range(5))
    assert twenty > 5 * one
