"""The latency-first gate: the arms it drops, what it stores, and the report."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runners.ablation import latency_gate as module
from runners.ablation.flow import run_ablation
from runners.ablation.latency_gate import drop_arms, drop_slow_arms, lines, with_declared_load
from runners.system.environment import environment as environment_here
from runners.timing.calls import TimingError
from runners.timing.device.host import host_facts, read_host
from runners.timing.records import TimingLimits
from runners.timing.session import ArmTimes
from tests.support.built_reports import build_text, main_table
from tests.support.fake_work import environment
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.errors import SpecError
from yolact_bench.results.device_facts import DeviceFacts
from yolact_bench.results.gate import FILE_NAME, Gate, TimedArm, load, save
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Accuracy, TimingProtocol
from yolact_bench.spec.latency import LatencyPlan

BUDGET = SPEC + "latency: {budget_ms: 20}\n"
MS = {"k_4": 30.0, "k_2": 25.0, "sequential": 10.0}


def judged(arm: str, low: float | None, high: float | None) -> TimedArm:
    return TimedArm(
        arm=arm, detect_digest=arm, median_ms=41.2, low_ms=low, high_ms=high, num_samples=64
    )


def gate(*arms: TimedArm) -> Gate:
    return Gate(
        question="q",
        scenario="end_to_end",
        load="coco_like",
        batch_size=1,
        arms=arms,
        untimed=(),
        environment=environment(),
        time="2026-01-01T00:00:00+00:00",
    )


class FakeMeasure:
    """Gives every arm its milliseconds, and counts its calls."""

    def __init__(self, fails: str = "", invalid: str = "") -> None:
        self.calls, self.fails, self.invalid = 0, fails, invalid
        self.loads: set[str] = set()
        self.rounds: list[object] = []

    def __call__(
        self, detectors: Mapping[str, object], pictures: Sequence[object], **options: object
    ) -> dict[str, ArmTimes]:
        self.calls += 1
        self.rounds.append(options["rounds"])
        if self.fails in detectors:
            raise TimingError(self.fails)
        loads = options["loads"]
        assert isinstance(loads, Mapping) and loads.keys() == detectors.keys()
        self.loads |= {each.name for each in loads.values()}
        return {arm: self._measured(MS[arm]) for arm in detectors}

    def _measured(self, ms: float) -> ArmTimes:
        return ArmTimes(
            scenario="end_to_end",
            timer="wall clock",
            batch_size=1,
            samples_ms=tuple(ms + 0.01 * (i % 7) for i in range(64)),
            enqueue_ms=(),
            image_ids=(1,) * 64,
            stages_ms={},
            warmup=3,
            peak_memory_mb=None,
            load="coco_like",
            protocol=TimingProtocol(),
            invalid=self.invalid,
            facts=DeviceFacts(host=host_facts(read_host(), read_host())),
            energy_mj=None,
        )


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> FakeMeasure:
    fake = FakeMeasure()
    monkeypatch.setattr("runners.timing.records.time_session", fake)
    return fake


def decide(spec: Path, work: Path, timing: TimingLimits | None = None) -> Mapping[str, str]:
    at = context(work)
    folder = work / "reports" / "small"
    return drop_slow_arms(plan_spec(spec, at), at.place, folder, timing=timing)


def run(spec: Path, work: Path, *, gated: bool) -> Manifest:
    at = replace(context(work), latency_first=gated)
    return run_ablation(plan_spec(spec, at), at, command="yolact-bench run small.yaml")


def test_an_arm_is_dropped_only_if_its_whole_interval_is_over_the_budget() -> None:
    arms = judged("base", 40.0, 42.0), judged("over", 40.0, 42.0), judged("near", 32.9, 42.0)
    dropped = gate(*arms).dropped_arms(33.0, baseline="base")
    assert dropped.keys() == {"over"}
    assert dropped["over"].startswith("dropped before training: 41.2 ms > budget 33 ms")


def test_no_arm_is_dropped_without_a_budget_or_without_an_interval() -> None:
    result = gate(judged("base", 1.0, 2.0), judged("over", 40.0, 42.0), judged("few", None, None))
    assert result.dropped_arms(None, baseline="base") == {}
    assert result.dropped_arms(33.0, baseline="base").keys() == {"over"}
    assert "no arm is dropped" in lines(result, None, baseline="base")[-1]


def test_a_baseline_over_the_budget_is_kept_and_named() -> None:
    table = lines(gate(judged("base", 40.0, 42.0)), 33.0, baseline="base")
    assert "over the budget, but kept as the baseline" in table[-1]


def test_untrained_arms_are_timed_with_a_declared_load() -> None:
    assert with_declared_load(LatencyPlan()).load == "coco_like"
    assert with_declared_load(LatencyPlan(load="crowded_100")).load == "crowded_100"


def test_the_slow_arm_is_dropped_and_the_second_time_nothing_is_timed(
    tmp_path: Path, timed: FakeMeasure
) -> None:
    """k_4 takes 30 ms and k_2 25 ms of 20, but k_4 is the baseline."""
    spec = write_spec(tmp_path, BUDGET)
    first = decide(spec, tmp_path / "work")
    assert first.keys() == {"k_2"}
    assert decide(spec, tmp_path / "work") == first
    assert (timed.calls, timed.loads) == (1, {"coco_like"})


def test_another_budget_is_answered_from_the_same_times(tmp_path: Path, timed: FakeMeasure) -> None:
    work = tmp_path / "work"
    decide(write_spec(tmp_path, BUDGET), work)
    larger = write_spec(tmp_path, BUDGET.replace("20", "28"))
    assert decide(larger, work) == {}
    assert timed.calls == 1


def test_a_new_arm_is_a_new_question(tmp_path: Path, timed: FakeMeasure) -> None:
    work = tmp_path / "work"
    decide(write_spec(tmp_path, BUDGET), work)
    decide(write_spec(tmp_path, BUDGET.replace("{protonet.k: 2}", "{protonet.k: 3}")), work)
    assert timed.calls == 2


def test_another_number_of_rounds_is_a_new_question(tmp_path: Path, timed: FakeMeasure) -> None:
    """Times of a smoke run of two rounds answer no later question."""
    work, spec = tmp_path / "work", write_spec(tmp_path, BUDGET)
    for limits in (TimingLimits(rounds=2), TimingLimits(rounds=2), TimingLimits(), None):
        decide(spec, work, limits)
    assert timed.rounds == [2, None]


def test_times_of_another_commit_are_used_again_and_it_is_named(
    tmp_path: Path,
    timed: FakeMeasure,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    work, spec = tmp_path / "work", write_spec(tmp_path, BUDGET)
    for commit in ("0123456789abcdef", "0123456789abcdef", "fedcba9876543210"):
        caplog.clear()
        here = replace(environment_here("cpu"), commit=commit, dirty=False)
        monkeypatch.setattr(module, "environment", lambda _, it=here: it)
        reason = decide(spec, work)["k_2"]
        assert reason.endswith("commit 0123456789)")
        warned = "times of commit 0123456789 are used again, the source is fedcba9876 now"
        assert (warned in caplog.text) == (commit[0] == "f")
        assert "commit 0123456789" in caplog.text
    assert timed.calls == 1


def test_a_session_that_does_not_count_drops_no_arm_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.timing.records.time_session", FakeMeasure(invalid="throttled"))
    assert decide(write_spec(tmp_path, BUDGET), tmp_path / "work") == {}
    assert not (tmp_path / "work" / "reports" / "small" / FILE_NAME).exists()


def test_an_arm_that_cannot_be_timed_is_kept_and_the_others_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.timing.records.time_session", FakeMeasure(fails="sequential"))
    spec = write_spec(tmp_path, BUDGET)
    at = context(tmp_path / "work")
    assert decide(spec, tmp_path / "work").keys() == {"k_2"}
    digest = module._question(
        [step.unit for step in plan_spec(spec, at).steps],
        with_declared_load(LatencyPlan()),
        at.place,
        rounds=None,
    )
    stored = load(tmp_path / "work" / "reports" / "small", digest)
    assert stored is not None and stored.untimed == ("sequential",)


def test_an_arm_takes_over_the_training_that_it_shared_with_a_dropped_arm(tmp_path: Path) -> None:
    at = context(tmp_path / "work")
    plan = plan_spec(write_spec(tmp_path), at)
    kept = drop_arms(plan, {"k_4": "too slow"})
    assert [(step.unit.arm, step.trains, step.shares) for step in kept.steps] == [
        ("k_2", True, None),
        ("sequential", True, None),
    ]


def test_no_arm_points_at_the_forward_pass_of_a_dropped_arm(tmp_path: Path) -> None:
    """k_2 and sequential differ in detection alone: of both the first has the pass."""
    at = context(tmp_path / "work")
    plan = plan_spec(write_spec(tmp_path), at)
    shared = {step.unit.arm: step.shares_forward for step in plan.steps}
    assert shared == {"k_4": None, "k_2": None, "sequential": "k_4"}
    kept = drop_arms(plan, {"k_4": "too slow"})
    assert {step.unit.arm: step.shares_forward for step in kept.steps} == {
        "k_2": None,
        "sequential": None,
    }


def test_a_dropped_arm_is_named_in_the_report_and_trained_once_the_flag_is_gone(
    tmp_path: Path, timed: FakeMeasure
) -> None:
    spec = write_spec(tmp_path, BUDGET.replace("latency:", "measure: [accuracy]\nlatency:"))
    work = tmp_path / "work"
    manifest = run(spec, work, gated=True)
    assert manifest.dropped is not None and manifest.dropped.keys() == {"k_2"}
    records = context(work).store.records()
    assert [r.arm for r in records if isinstance(r, Accuracy)] == ["k_4", "sequential"]
    table = main_table(build_text(work, "small"))
    assert "dropped before training: 25.0 ms > budget 20 ms" in table

    assert run(spec, work, gated=False).dropped is None
    records = context(work).store.records()
    assert {r.arm for r in records if isinstance(r, Accuracy)} == {"k_4", "sequential", "k_2"}
    assert "dropped" not in main_table(build_text(work, "small"))


def test_a_stored_gate_reads_back_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    result = gate(judged("base", 40.0, 42.0))
    save(result, tmp_path)
    assert load(tmp_path, "q") == result
    assert load(tmp_path, "another question") is None
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(SpecError, match="remove it"):
        load(tmp_path, "q")
