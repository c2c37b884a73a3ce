"""Arms are timed together: the same image in the same round, alternating, stages apart."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from runners import measure as module
from runners.measure import measure
from yolact_bench.clock import Clock, no_clock

IMAGES = [(70 + number, np.full((4, 4, 3), number, np.uint8)) for number in range(3)]
Call = tuple[str, int, bool]  # arm, image, with a stage clock


class Counting:
    """A detector that notes its calls and enters two stages, one only on the first image."""

    device = torch.device("cpu")
    network = torch.nn.Identity()

    def __init__(self, name: str, calls: list[Call]) -> None:
        self.name, self.calls = name, calls

    def __call__(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
        assert len(images) == 1
        shown = int(images[0][0, 0, 0])
        self.calls.append((self.name, shown, clock is not no_clock))
        with clock("backbone"):
            pass
        if shown == 0:
            with clock("rescore"):
                pass
        return []


def timed(calls: list[Call], *, rounds: int = 12, **options: float) -> dict[str, module.Measured]:
    detectors = {name: Counting(name, calls) for name in ("fast", "soft")}
    return dict(measure(detectors, IMAGES, rounds=rounds, warmup=2, **options))


def test_every_arm_sees_the_same_image_in_the_same_round() -> None:
    """12 rounds over 3 images: ids 70, 71, 72, 70, ..."""
    calls: list[Call] = []
    measured = timed(calls)

    assert measured["fast"].image_ids == measured["soft"].image_ids == (70, 71, 72) * 4
    plain = [call for call in calls if not call[2]]
    warmups = measured["fast"].warmup + measured["soft"].warmup
    rounds = plain[warmups:]
    assert len(rounds) == 24
    for number in range(12):
        pair = rounds[2 * number : 2 * number + 2]
        assert sorted(pair) == [("fast", number % 3, False), ("soft", number % 3, False)]


def test_one_sample_a_round_and_the_timer_is_named() -> None:
    measured = timed([])
    for arm in measured.values():
        assert len(arm.samples_ms) == len(arm.image_ids) == 12
        assert min(arm.samples_ms) > 0
        assert arm.timer == "wall clock"
        assert arm.peak_memory_mb is None  # not known on a CPU


def test_samples_are_taken_without_the_stage_clock() -> None:
    """A fifth of 12 rounds, so 2, for the stages: images 0 and 1."""
    calls: list[Call] = []
    timed(calls)
    with_stages = [call for call in calls if call[2]]
    assert len(with_stages) == 2 * 2
    assert calls[-4:] == with_stages


def test_a_stage_that_a_round_did_not_enter_took_no_time_in_it() -> None:
    measured = timed([], rounds=15)  # 3 stage rounds, "rescore" in the first alone
    stages = measured["soft"].stages_ms
    assert set(stages) == {"backbone", "rescore"}
    assert stages["rescore"][0] > 0
    assert stages["rescore"][1:] == (0.0, 0.0)
    assert len(stages["backbone"]) == 3


def test_warm_up_is_at_least_what_was_asked_for() -> None:
    calls: list[Call] = []
    measured = timed(calls)
    for name, arm in measured.items():
        assert 2 <= arm.warmup <= 10
        assert sum(call[0] == name for call in calls) == arm.warmup + 12 + 2


def test_little_time_still_gives_ten_rounds() -> None:
    measured = timed([], rounds=100, max_seconds=1e-9)
    assert {len(arm.samples_ms) for arm in measured.values()} == {10}


def test_arms_on_different_devices_are_not_timed_together() -> None:
    on_cpu, elsewhere = Counting("a", []), Counting("b", [])
    elsewhere.device = torch.device("meta")
    with pytest.raises(AssertionError, match="do not compare"):
        measure({"a": on_cpu, "b": elsewhere}, IMAGES)


@pytest.mark.gpu
def test_peak_memory_counts_one_arm_and_not_its_neighbours() -> None:
    """Weights of 64 MiB here and 512 MiB in the other arm; one call needs 32 MiB more."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")

    class Heavy(Counting):
        device = torch.device("cuda")

        def __init__(self, mib: int) -> None:
            super().__init__("heavy", [])
            self.network = torch.nn.Linear(2**18, mib, bias=False, device="cuda")

        def __call__(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
            return [torch.zeros(32 * 2**18, device="cuda").cpu()[:1]]

    measured = measure({"small": Heavy(64), "large": Heavy(512)}, IMAGES, rounds=10, warmup=2)
    assert measured["small"].peak_memory_mb == pytest.approx(96, abs=4)
    assert measured["small"].timer == "CUDA events"
