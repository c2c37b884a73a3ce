"""Timers, warm-up and the clocks of stages; with clocks that do not tick by themselves."""

import os
from collections.abc import Callable

import pytest
import torch

from runners.timing import clocks
from runners.timing.clocks import (
    TIMERS,
    CallTime,
    EventClock,
    StageClock,
    timer_for,
    wall_clock,
    warm_up,
)
from tests.support.fake_device import FakeDevice
from yolact_bench.clock import STAGES


def sample(ms: float) -> CallTime:
    return CallTime(ms, ms)


def test_warm_up_continues_until_times_are_flat() -> None:
    """Times fall by 10 % a call for 30 calls, then stay: call 30 and later are the 31st value.

    Windows are a quarter of the calls, 8 of 34: at call 34 the windows are calls 18-25 and 26-33,
    medians about 0.9^21.5 and 0.9^29: apart. At 60, calls 30-44 and 45-59 are equal.
    """
    times = [100.0 * 0.9 ** min(call, 30) for call in range(100)]
    made = warm_up(int, lambda step: sample(times.pop(0)), calls=20)
    assert 35 <= made.calls <= 60
    assert made.stable


def test_warm_up_of_a_restless_machine_ends_at_five_times_the_calls() -> None:
    ms = 1.0

    def doubling(step: Callable[[], object]) -> CallTime:
        nonlocal ms
        ms *= 2
        return sample(ms)

    assert warm_up(int, doubling, calls=4) == (20, False)


def test_warm_up_of_a_slow_arm_ends_with_its_time_but_not_before_three_calls() -> None:
    now = 0.0

    def minute(step: Callable[[], object]) -> CallTime:
        nonlocal now
        now += 60.0
        return sample(60_000.0)

    assert warm_up(int, minute, calls=20, max_seconds=300.0, now=lambda: now).calls == 5
    assert warm_up(int, minute, calls=20, max_seconds=1.0, now=lambda: now).calls == 3


def test_warm_up_of_short_calls_lasts_for_the_minimum_time() -> None:
    """Calls of 1 ms, all equal: flat after 20, but a second has 1000 of them."""
    now = 0.0

    def millisecond(step: Callable[[], object]) -> CallTime:
        nonlocal now
        now += 0.001
        return sample(1.0)

    made = warm_up(int, millisecond, calls=20, min_seconds=1.0, now=lambda: now)
    assert 1000 <= made.calls <= 1001  # sums of 0.001 round
    assert made.stable


def test_the_wall_clock_times_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([1_000_000, 3_500_000])
    monkeypatch.setattr(clocks.time, "perf_counter_ns", lambda: next(ticks))
    assert wall_clock(int) == (2.5, 2.5)


def test_the_stage_clock_adds_up_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """nms takes 1 + 2 ms, head 4 ms."""
    ticks = iter(ms * 1_000_000 for ms in (0, 1, 10, 12, 20, 24))
    monkeypatch.setattr(clocks.time, "perf_counter_ns", lambda: next(ticks))
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
    assert {timer_for("cuda"), timer_for("cpu")} == set(TIMERS)


@pytest.mark.gpu
def test_events_see_what_the_gpu_does() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x = torch.ones(4096, 4096, device="cuda")
    one = min(TIMERS["CUDA events"](lambda: x @ x).ms for _ in range(5))
    twenty = min(TIMERS["CUDA events"](lambda: [x @ x for _ in range(20)]).ms for _ in range(5))
    assert twenty > 5 * one


def test_stages_are_what_the_device_took_and_the_host_waits_once() -> None:
    """Two times NMS, 1 + 2 ms, and a backbone of 5 ms that returned to the host at once."""
    device = FakeDevice()
    clock = EventClock(device.event)
    for stage, ms in (("backbone", 5.0), ("nms", 1.0), ("nms", 2.0)):
        with clock(stage):
            device.launch(ms)
    assert device.host_waits == 0
    assert clock.take() == {"backbone": 5.0, "nms": 3.0}
    assert device.host_waits == 1
    assert clock.take() == {}


def test_times_that_a_graph_has_measured_itself_are_taken_too() -> None:
    """Backbone: 2 ms reported by the graph and 5 ms marked; NMS: 1 ms reported."""
    device = FakeDevice()
    clock = EventClock(device.event)
    clock.add("backbone", 2.0)
    clock.add("nms", 1.0)
    with clock("backbone"):
        device.launch(5.0)
    assert clock.take() == {"backbone": 7.0, "nms": 1.0}
    assert clock.take() == {}


def test_the_event_clock_knows_its_stages() -> None:
    with pytest.raises(AssertionError, match="nmss"), EventClock(FakeDevice().event)("nmss"):
        pass


def test_a_call_is_timed_by_events_and_its_enqueueing_by_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host is done after 0.4 ms, the device after 3 ms."""
    device = FakeDevice()
    ticks = iter([0, 400_000])
    monkeypatch.setattr(clocks.time, "perf_counter_ns", lambda: next(ticks))
    monkeypatch.setattr(torch.cuda, "Event", lambda **_: device.event())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    sample = TIMERS[timer_for("cuda")](lambda: device.launch(3.0))
    assert sample == (3.0, 0.4)


@pytest.mark.gpu
@pytest.mark.skipif(
    os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") != "1",
    reason="compares times, which tests beside it on the device change: run without -n",
)
def test_events_and_waiting_agree_about_a_long_stage() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x = torch.ones(4096, 4096, device="cuda")
    taken: dict[str, float] = {}
    for name, clock in (("events", EventClock()), ("waiting", StageClock("cuda"))):
        for _ in range(2):  # the first warms up
            with clock("backbone"):
                for _ in range(20):
                    x @ x
            taken[name] = clock.take()["backbone"]
    assert taken["events"] == pytest.approx(taken["waiting"], rel=0.1)
