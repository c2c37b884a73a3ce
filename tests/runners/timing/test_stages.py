"""Stages of a call, and the notes where two measurements contradict each other."""

import pytest
import torch

from runners.timing.clocks import EventClock
from runners.timing.stages import disagreements, stage_times
from tests.support.fake_device import FakeDevice
from yolact_bench.clock import Clock


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
    """The fake device needs 2 ms for NMS, whether the host waits or not: by the host's clock the
    call takes no time, which is what the synchronised pass sees and the note says."""
    device = FakeDevice()
    monkeypatch.setattr("runners.timing.stages.EventClock", lambda: EventClock(device.event))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

    class Arm:
        def prepare(self, number: int) -> None:
            """No load is imposed."""

        def call(self, number: int, clock: Clock) -> list[list[int]]:
            with clock("nms"):
                device.launch(2.0)
            return [[1, 2, 3]]

    found = stage_times(
        {"arm": Arm()},  # type: ignore[dict-item]
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
