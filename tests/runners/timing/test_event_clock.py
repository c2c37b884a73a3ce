"""Stages by events in one stream, with a fake device that runs behind the host."""

import pytest
import torch

from runners.timing import clocks as latency
from runners.timing.clocks import PROBES, timer_for
from runners.timing.event_clock import EventClock, disagreements
from runners.timing.stages import stage_times
from yolact_bench.clock import Clock


class FakeDevice:
    """One stream: work is queued at once and done later; the host need not wait for it."""

    def __init__(self) -> None:
        self.done_at = 0.0  # when everything queued so far is done, in ms
        self.host_waits = 0

    def launch(self, ms: float) -> None:
        self.done_at += ms

    def event(self) -> "FakeEvent":
        return FakeEvent(self)


class FakeEvent:
    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.at: float | None = None

    def record(self) -> None:
        self.at = self.device.done_at

    def synchronize(self) -> None:
        self.device.host_waits += 1

    def elapsed_time(self, end: "FakeEvent") -> float:
        assert self.at is not None
        assert end.at is not None
        return end.at - self.at


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
    """Backbone: 2 ms told by the graph and 5 ms marked; NMS: 1 ms told."""
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
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: next(ticks))
    monkeypatch.setattr(torch.cuda, "Event", lambda **_: device.event())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    sample = PROBES[timer_for("cuda")](lambda: device.launch(3.0))
    assert sample == (3.0, 0.4)


def test_stages_that_agree_within_a_tenth_are_not_mentioned() -> None:
    assert disagreements({"nms": 1.0, "head": 4.0}, {"nms": 1.09, "head": 4.3}, 5.2) == ()


def test_a_stage_that_waiting_changes_is_named() -> None:
    found = disagreements({"nms": 1.0, "head": 4.0}, {"nms": 2.0, "head": 4.0}, 5.0)
    assert found == ("nms: 1.00 ms by events, 2.00 ms when synchronised",)


def test_time_outside_of_all_stages_is_named() -> None:
    found = disagreements({"nms": 1.0, "head": 4.0}, None, 8.0)
    assert found == ("the stages sum to 5.00 ms, a whole call takes 8.00 ms",)


def test_on_a_gpu_stages_come_from_events_and_the_second_pass_checks_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fake device needs 2 ms for NMS, whether anybody waits or not: by the host's clock the
    call takes no time, which is what the synchronised pass sees and the note says."""
    device = FakeDevice()
    monkeypatch.setattr("runners.timing.stages.EventClock", lambda: EventClock(device.event))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

    class Ready:
        def prepare(self, number: int) -> None:
            """Nothing is planted."""

    def call(number: int, clock: Clock) -> list[list[int]]:
        with clock("nms"):
            device.launch(2.0)
        return [[1, 2, 3]]

    found = stage_times(
        {"arm": (Ready(), call)},  # type: ignore[dict-item]
        {"arm": [2.0]},
        "cuda",
        rounds=5,
        seconds=10.0,
        seed=0,
    )["arm"]
    assert found.stages_ms == {"nms": (2.0,) * 5}
    assert found.synchronised_ms["nms"] < 0.5
    assert found.notes[0].startswith("nms: 2.00 ms by events, 0.0")
    assert found.detections == 3


@pytest.mark.gpu
def test_events_and_waiting_agree_about_a_long_stage() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x = torch.ones(4096, 4096, device="cuda")
    taken: dict[str, float] = {}
    for name, clock in (("events", EventClock()), ("waiting", latency.StageClock("cuda"))):
        for _ in range(2):  # the first warms up
            with clock("backbone"):
                for _ in range(20):
                    x @ x
            taken[name] = clock.take()["backbone"]
    assert taken["events"] == pytest.approx(taken["waiting"], rel=0.1)
