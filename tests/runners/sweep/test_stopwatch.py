"""Times of a sweep compare only within a session: what is stored is relative to the base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from runners.sweep import fact
from runners.sweep import stopwatch as module
from runners.sweep.stopwatch import InvalidSessionError, Stopwatch
from runners.sweep.trial import BASE
from runners.timing.device.host import host_facts, read_host
from runners.timing.records import TimingLimits, latency_record
from runners.timing.session import ArmTimes
from runners.units.unit import Unit
from tests.support.fake_work import environment
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.errors import ArmError
from yolact_bench.results.device_facts import DeviceFacts
from yolact_bench.results.record import Latency, TimingProtocol
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.statistics import timing


@dataclass
class Facts:
    """Of a study, the part that a stopwatch reads and writes."""

    values: dict[str, object] = field(default_factory=dict)

    def fact(self, key: str) -> object:
        return self.values.get(key)

    def set_fact(self, key: str, value: object) -> None:
        self.values[key] = value


def times(*ms: float) -> ArmTimes:
    return ArmTimes(
        scenario="end_to_end",
        timer="wall clock",
        batch_size=1,
        samples_ms=ms,
        enqueue_ms=(),
        image_ids=(1,) * len(ms),
        stages_ms={},
        warmup=3,
        peak_memory_mb=None,
        load="coco_like",
        protocol=TimingProtocol(),
        invalid="",
        facts=DeviceFacts(host=host_facts(read_host(), read_host())),
        energy_mj=None,
    )


@pytest.fixture
def units(tmp_path: Path) -> tuple[Unit, Unit]:
    steps = plan_spec(write_spec(tmp_path), context(tmp_path / "work")).steps
    return replace(steps[0].unit, arm=BASE), steps[-1].unit


def watch(units: tuple[Unit, Unit], facts: Facts, tmp_path: Path) -> Stopwatch:
    spec = SimpleNamespace(trial_timing=LatencyPlan())
    return Stopwatch(
        spec=spec,  # type: ignore[arg-type]
        base=units[0],
        place=context(tmp_path / "work").place,
        timing=TimingLimits(),
        study=facts,  # type: ignore[arg-type]
        quiet=lambda: None,
    )


def sessions(monkeypatch: pytest.MonkeyPatch, *rounds: Mapping[str, Sequence[float]]) -> None:
    """Let the next sessions measure these times, by arm."""
    left = list(rounds)

    def measure(units: Sequence[Unit], *_: object) -> tuple[dict[str, ArmTimes], dict[str, str]]:
        measured = {arm: times(*ms) for arm, ms in left.pop(0).items()}
        return measured, {u.arm: "out of memory" for u in units if u.arm not in measured}

    monkeypatch.setattr(module, "measure_untrained", measure)


def test_untrained_times_are_relative_to_the_base_of_their_session(
    units: tuple[Unit, Unit], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a device that became twice as slow, 30 of 20 ms is 1.5 × the 10 ms of the first."""
    _, unit = units
    facts = Facts({fact.BASE_MS: 10.0})
    sessions(monkeypatch, {BASE: [20.0], unit.arm: [30.0]})
    judged = watch(units, facts, tmp_path).judge_untrained(unit)
    assert judged.metrics == pytest.approx({"latency_ratio": 1.5, "latency_ms": 15.0})
    assert judged.timing.median_ms == 30.0  # a budget is of this session's milliseconds
    # Measured once: there is no second session to take times from.
    assert watch(units, facts, tmp_path).judge_untrained(unit) == judged


def test_the_first_session_says_how_long_the_base_takes(
    units: tuple[Unit, Unit], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, unit = units
    facts = Facts()
    sessions(monkeypatch, {BASE: [20.0], unit.arm: [30.0]})
    judged = watch(units, facts, tmp_path).judge_untrained(unit)
    assert judged.metrics["latency_ms"] == pytest.approx(30.0)
    assert facts.fact(fact.BASE_MS) == 20.0


def test_ratios_are_of_paired_rounds(
    units: tuple[Unit, Unit], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rounds of 1.1, 1.2 and 0.9 × the base: 1.1 in the middle; the medians' ratio is 1.2."""
    _, unit = units
    rounds = {BASE: 4 * [10.0, 20.0, 30.0], unit.arm: 4 * [11.0, 24.0, 27.0]}
    sessions(monkeypatch, rounds)
    stopwatch = watch(units, Facts(), tmp_path)
    judged = stopwatch.judge_untrained(unit)
    assert judged.metrics == pytest.approx({"latency_ratio": 1.1, "latency_ms": 22.0})

    def measure(arms: Sequence[Unit], *_: object, **__: object) -> list[Latency]:
        device, names = stopwatch.place.device, [BASE, unit.arm]
        return [
            latency_record(one, times(*ms), "s", names, device)
            for one, ms in zip(arms, rounds.values(), strict=True)
        ]

    monkeypatch.setattr(module, "time_units", measure)
    monkeypatch.setattr(timing, "_block_draws", None)  # a ratio alone needs no resamples
    assert stopwatch.time_trained([unit]) == {unit.arm: judged.metrics}


@pytest.mark.parametrize("known", [{}, {fact.BASE_MS: 10.0}, {fact.COMMITS: ["0ld"]}])
def test_the_commits_under_which_times_are_taken_are_kept_and_a_new_one_is_named(
    units: tuple[Unit, Unit],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    known: dict[str, object],
) -> None:
    """A study of an earlier version has times, and does not know of which commit."""
    _, unit = units
    facts = Facts(dict(known))
    sessions(monkeypatch, {BASE: [20.0], unit.arm: [30.0]})
    monkeypatch.setattr(module, "environment", lambda _: environment(commit="0123456789abcdef"))
    watch(units, facts, tmp_path).judge_untrained(unit)
    before = ["0ld"] if fact.COMMITS in known else ["unknown"] if known else []
    assert facts.fact(fact.COMMITS) == [*before, "0123456789"]
    named = f"until now of commit {', '.join(before)}, now of 0123456789"
    assert (named in caplog.text) == bool(before)
    watch(units, facts, tmp_path)._prepare()
    assert facts.fact(fact.COMMITS) == [*before, "0123456789"]


@pytest.mark.parametrize("missing", ["base", "unit"])
def test_a_session_without_one_of_both_says_which_and_why(
    units: tuple[Unit, Unit], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    _, unit = units
    sessions(monkeypatch, {unit.arm if missing == "base" else BASE: [1.0]})
    arm = BASE if missing == "base" else unit.arm
    with pytest.raises(ArmError, match=f"{arm} cannot be timed: out of memory"):
        watch(units, Facts(), tmp_path).judge_untrained(unit)


def test_a_session_that_does_not_count_says_why_and_leaves_nothing(
    units: tuple[Unit, Unit], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, unit = units
    facts = Facts()
    throttled = {BASE: times(20.0), unit.arm: replace(times(30.0), invalid="throttled")}
    monkeypatch.setattr(module, "measure_untrained", lambda *_: (throttled, {}))
    with pytest.raises(InvalidSessionError, match="does not count: throttled"):
        watch(units, facts, tmp_path).judge_untrained(unit)
    assert facts.values.keys() == {fact.COMMITS}
