"""Arms are timed together: the same image in the same round, alternating, stages apart."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from runners.timing import session as module
from runners.timing.calls import TimingError
from runners.timing.images import as_picture
from runners.timing.session import TWIN, time_session
from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.spec.latency import PROTOCOL_VERSION, LatencyPlan

PICTURES = [as_picture(70 + n, np.full((4, 4, 3), n, np.uint8)) for n in range(3)]
Call = tuple[str, int, bool]  # arm, image, with a stage clock


class Counting:
    """A detector that notes its calls and enters two stages, one only on the first image."""

    device = torch.device("cpu")
    network = torch.nn.Identity()
    unfolded_norms = 3

    def __init__(self, name: str, calls: list[Call]) -> None:
        self.name, self.calls = name, calls

    def find(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
        shown = int(images[0][0, 0, 0])
        self.calls.append((self.name, shown, clock is not no_clock))
        with clock("backbone"):
            pass
        if shown == 0:
            with clock("rescore"):
                pass
        return []


def found(*, exact: bool) -> SoftDetections:
    """No detection."""
    none, boxes = torch.zeros(0), torch.zeros(0, 4)
    return SoftDetections(
        boxes=boxes,
        boxes_px=boxes,
        scores=none,
        mask_scores=none,
        labels=none.long(),
        soft_masks=torch.zeros(0, 1, 1),
        height=4,
        width=4,
        mask_threshold=0.5,
        exact=exact,
    )


def timed(
    calls: list[Call], *, rounds: int | None = 12, twin: bool = False, **how: float
) -> dict[str, module.ArmTimes]:
    detectors = {name: Counting(name, calls) for name in ("fast", "soft")}
    plan = LatencyPlan(twin=twin, **how)  # type: ignore[arg-type]
    return dict(
        time_session(detectors, PICTURES, scenario="detector", plan=plan, rounds=rounds, warmup=2)  # type: ignore[arg-type]
    )


@pytest.fixture(autouse=True)
def _one_call_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of nothing are short; a turn would be many of them."""
    monkeypatch.setattr("runners.timing.rounds.MOST_CALLS", 1)


def test_every_arm_sees_the_same_image_in_the_same_round() -> None:
    """12 rounds over 3 images: ids 70, 71, 72, 70, ..."""
    calls: list[Call] = []
    times = timed(calls)

    assert times["fast"].image_ids == times["soft"].image_ids == (70, 71, 72) * 4
    plain = [call for call in calls if not call[2]]
    rounds = plain[-24:]
    for number in range(12):
        pair = rounds[2 * number : 2 * number + 2]
        assert sorted(pair) == [("fast", number % 3, False), ("soft", number % 3, False)]


def test_one_sample_a_call_and_timer_and_protocol_are_named() -> None:
    times = timed([])
    for arm in times.values():
        assert len(arm.samples_ms) == len(arm.image_ids) == 12
        assert min(arm.samples_ms) > 0
        assert arm.timer == "wall clock"
        assert arm.enqueue_ms == ()  # a call has ended when it returns
        assert arm.peak_memory_mb is None  # not known on a CPU
        assert arm.protocol.version == PROTOCOL_VERSION
        assert (arm.protocol.rounds, arm.protocol.ended) == (12, "rounds")


def test_samples_are_taken_without_the_stage_clock() -> None:
    """A fifth of 12 rounds, so 2, for the stages: images 0 and 1."""
    calls: list[Call] = []
    timed(calls)
    with_stages = [call for call in calls if call[2]]
    assert len(with_stages) == 2 * 2
    assert calls[-4:] == with_stages


def test_a_stage_that_a_round_did_not_enter_took_no_time_in_it() -> None:
    times = timed([], rounds=15)  # 3 stage rounds, "rescore" in the first alone
    stages = times["soft"].stages_ms
    assert set(stages) == {"backbone", "rescore"}
    assert stages["rescore"][0] > 0
    assert stages["rescore"][1:] == (0.0, 0.0)
    assert len(stages["backbone"]) == 3


def test_little_time_still_gives_ten_rounds() -> None:
    times = timed([], rounds=100, max_s=1e-9)
    assert {len(arm.samples_ms) for arm in times.values()} == {10}
    assert times["fast"].protocol.ended == "time"


def test_rounds_end_when_the_intervals_are_narrow() -> None:
    """An interval of anything is narrower than 99 % of its centre: the first look ends it."""
    times = timed([], rounds=None, rel_ci=0.99)
    assert times["soft"].protocol.ended == "narrow"
    assert len(times["soft"].samples_ms) in (32, 48, 72)


def test_arms_on_different_devices_are_not_timed_together() -> None:
    on_cpu, elsewhere = Counting("a", []), Counting("b", [])
    elsewhere.device = torch.device("meta")
    with pytest.raises(AssertionError, match="do not compare"):
        time_session({"a": on_cpu, "b": elsewhere}, PICTURES)  # type: ignore[dict-item]


def test_an_arm_that_fails_is_named() -> None:
    class Broken(Counting):
        def find(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
            raise RuntimeError("no kernel")

    arms = {"good": Counting("good", []), "bad": Broken("bad", [])}
    with pytest.raises(TimingError, match="bad could not be timed") as caught:
        time_session(arms, PICTURES, scenario="detector", rounds=10)  # type: ignore[arg-type]
    assert str(caught.value.__cause__) == "no kernel"


def test_images_beyond_a_fixed_number_are_counted_in_timed_calls_alone() -> None:
    """Every call has one; 40 rounds are timed. Warm-up and stages are not.

    Nor is the call that wakes the device after the intervals were computed, in round 32.
    """

    class Inexact(Counting):
        def find(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
            super().find(images, clock)
            return [found(exact=False), found(exact=True)]

    arms = {"arm": Inexact("arm", [])}
    plan = LatencyPlan(rel_ci=1e-9)
    times = time_session(arms, PICTURES, scenario="detector", plan=plan, rounds=40)  # type: ignore[arg-type]
    assert (times["arm"].protocol.rounds, times["arm"].inexact) == (40, 40)
    assert times["arm"].unfolded_norms == 3


def test_a_twin_is_the_baseline_again_and_no_arm_of_its_own() -> None:
    calls: list[Call] = []
    times = timed(calls, twin=True)
    assert set(times) == {"fast", "soft"}
    protocol = times["soft"].protocol
    assert protocol.twin_of == "fast"
    assert len(protocol.twin_samples_ms) == 12


def test_a_session_whose_twin_differs_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake timer says 2 ms of the twin and 1 ms of all others: a ratio of 2 and not 1."""
    plain = module.alternate

    def biased(*args: object, **options: object) -> object:
        found = plain(*args, **options)  # type: ignore[arg-type]
        for name, samples in found.samples.items():
            ms = 2.0 if name.endswith(TWIN) else 1.0
            found.samples[name] = [sample._replace(ms=ms) for sample in samples]
        return found

    monkeypatch.setattr(module, "alternate", biased)
    times = timed([], twin=True)
    for arm in times.values():
        assert "differs from itself: ratio 2.0000 to 2.0000" in arm.invalid


def test_a_twin_that_fails_is_the_failure_of_its_arm() -> None:
    """Of no other name, or nothing could be left out of the next session."""

    class Tired(Counting):
        def find(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
            if len(self.calls) > 20:
                raise RuntimeError("out of memory")
            return super().find(images, clock)

    detectors = {"fast": Tired("fast", [])}
    with pytest.raises(TimingError) as caught:
        time_session(
            detectors,  # type: ignore[arg-type]
            PICTURES,
            scenario="detector",
            plan=LatencyPlan(twin=True),
            rounds=12,
            warmup=2,
        )
    assert caught.value.arm == "fast"


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

        def find(self, images: Sequence[np.ndarray], clock: Clock = no_clock) -> list[object]:
            torch.zeros(32 * 2**18, device="cuda").cpu()
            return []

    arms = {"small": Heavy(64), "large": Heavy(512)}
    times = time_session(arms, PICTURES, scenario="detector", rounds=10, warmup=2)  # type: ignore[arg-type]
    assert times["small"].peak_memory_mb == pytest.approx(96, abs=4)
    assert times["small"].timer == "CUDA events"
    assert len(times["small"].enqueue_ms) == len(times["small"].samples_ms)
