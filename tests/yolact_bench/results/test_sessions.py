"""Whether a timing session counts, and which one stands for a set of runs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support import fake_work
from yolact_bench.results import sessions as module
from yolact_bench.results.device_facts import twin_fault
from yolact_bench.results.record import Latency, TimingProtocol
from yolact_bench.results.sessions import (
    Session,
    Times,
    latest_session,
    listed_session,
    read_sessions,
    sessions_to_show,
    why_invalid,
    why_times_invalid,
)
from yolact_bench.results.store import Store

BOTH = ["d-fast-0", "d-sequential-0"]
NARROW = TimingProtocol(version=2, rel_ci=0.01, rounds=80)
add = partial(fake_work.add_session, protocol=NARROW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results.jsonl")


def name_of(session: Session | None) -> str | None:
    return None if session is None else session.name


def few_rounds(arms: Sequence[Times]) -> str:
    """A rule of the tests: 10 rounds at least."""
    fewest = min(arm.protocol.rounds or 0 for arm in arms)
    return f"{fewest} rounds" if fewest < 10 else ""


def test_a_session_that_counts_comes_before_a_later_one_that_does_not(store: Store) -> None:
    add(store, "bad", invalid="shared")
    assert name_of(latest_session(store, BOTH, "end_to_end")) == "bad"
    add(store, "good")
    add(store, "worse", invalid="throttled")
    assert name_of(latest_session(store, BOTH, "end_to_end")) == "good"
    assert name_of(listed_session(store, BOTH)) == "good"
    assert latest_session(store, BOTH, "model") is None


def test_a_list_shows_whole_calls_before_parts_of_them(store: Store) -> None:
    assert listed_session(store, BOTH) is None
    add(store, "model", scenario="model")
    assert name_of(listed_session(store, BOTH)) == "model"
    add(store, "part", "fast")
    add(store, "all")
    add(store, "later", "fast")
    assert name_of(listed_session(store, BOTH)) == "all"


def test_the_session_with_most_runs_says_whether_times_count(store: Store) -> None:
    assert why_times_invalid(store, BOTH) == ""
    for session, reason in (("s1", "shared"), ("s2", "")):
        add(store, session, invalid=reason)
        assert why_times_invalid(store, BOTH) == reason
    add(store, "s3", "fast", invalid="of another ablation")
    assert why_times_invalid(store, BOTH) == ""
    add(store, "s4", "fast", scenario="model", invalid="throttled")
    assert why_times_invalid(store, BOTH) == "throttled"


def test_a_report_shows_the_seed_with_the_baseline_and_most_arms(store: Store) -> None:
    arms = {seed: {arm: f"d-{arm}-{seed}" for arm in ("fast", "sequential")} for seed in (0, 1)}
    add(store, "without", "sequential")
    for arm in ("fast", "sequential"):
        store.add(fake_work.latency(arm, seed=1, session="whole", protocol=NARROW))
    add(store, "late", "fast")
    (choice,) = sessions_to_show(store, arms, "fast")
    assert (choice.session.name, choice.seed) == ("whole", 1)
    assert choice.reference.arm == "fast"
    assert (list(choice.records), choice.untimed) == (["fast", "sequential"], {})


def test_one_invalid_arm_is_enough(store: Store) -> None:
    add(store, "s", "fast")
    add(store, "s", "sequential", invalid="shared")
    (session,) = read_sessions(store, BOTH)
    assert session.invalid == "shared"


def test_a_new_rule_holds_wherever_a_session_is_chosen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "long")
    add(store, "short", protocol=TimingProtocol(version=2, rel_ci=0.01, rounds=9))
    arms = {0: {"fast": "d-fast-0", "sequential": "d-sequential-0"}}

    def chosen() -> list[str | None]:
        return [
            name_of(latest_session(store, BOTH, "end_to_end")),
            name_of(listed_session(store, BOTH)),
            sessions_to_show(store, arms, "fast")[0].session.name,
        ]

    assert chosen() == ["short"] * 3
    monkeypatch.setattr(module, "RULES", (module.measured_reason, few_rounds))
    assert chosen() == ["long"] * 3
    assert why_times_invalid(store, BOTH) == "9 rounds"


def test_a_rule_on_the_length_of_sessions_can_exempt_smoke_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rounds that a command asked for are a smoke; two rounds within a time, or 20, are none.

    The twenty have an interval, whose half-width the protocol holds.
    """

    def few_rounds_of_measurements(arms: Sequence[Times]) -> str:
        measured = [arm for arm in arms if not arm.protocol.is_smoke]
        return few_rounds(measured) if measured else ""

    monkeypatch.setattr(module, "RULES", (module.measured_reason, few_rounds_of_measurements))
    smoke = replace(NARROW, ended="rounds", rounds=2, half_width=None)
    add(store, "smoke", protocol=smoke)
    assert why_times_invalid(store, BOTH) == ""
    add(store, "shared smoke", protocol=smoke, invalid="shared")
    assert why_times_invalid(store, BOTH) == "shared"
    for other in (replace(smoke, ended="time"), replace(smoke, rounds=9, half_width=0.02)):
        add(store, str(other.rounds), protocol=other)
        assert why_times_invalid(store, BOTH) == f"{other.rounds} rounds"


def test_reasons_of_the_first_broken_rule_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    few = fake_work.latency("fast", protocol=TimingProtocol(rounds=3))
    monkeypatch.setattr(module, "RULES", (module.measured_reason, few_rounds))
    assert why_invalid([few]) == "3 rounds"
    assert why_invalid([fake_work.latency("fast", invalid="shared", protocol=few.protocol)]) == (
        "shared"
    )


@pytest.mark.parametrize(
    ("interval", "fault"),
    [
        ((0.99, 1.01), ""),
        ((1.0, 1.02), ""),
        ((1.01, 1.02), "a timed twice differs from itself: ratio 1.0100 to 1.0200"),
        ((), "too few rounds (9) to compare a with itself"),
    ],
)
def test_the_interval_of_a_twin_contains_1(interval: tuple[float, ...], fault: str) -> None:
    assert twin_fault("a", interval, rounds=9) == fault


@pytest.mark.parametrize(
    "protocol",
    [
        {},
        {
            "version": 2,
            "rel_ci": 0.01,
            "max_s": 4.0,
            "rounds": 2,
            "calls_per_round": 1,
            "baseline": "tanh",
            "ended": "rounds",
            "half_width": None,
            "warmup_stable": False,
            "detections": 100.0,
            "stages_synchronised_ms": {},
            "stage_notes": ["nms: 1 ms, or 2 ms"],
        },
        {
            "version": 2,
            "rel_ci": 0.01,
            "max_s": 4.0,
            "rounds": 80,
            "calls_per_round": 4,
            "baseline": "fast",
            "ended": "narrow",
            "half_width": 0.009,
            "warmup_stable": True,
            "detections": None,
            "stages_synchronised_ms": {"backbone": 3.5},
            "stage_notes": [],
            "twin_of": "fast",
            "twin_ratio": 1.001,
            "twin_interval": [0.999, 1.003],
            "twin_samples_ms": [40.0, 41.0],
        },
    ],
)
def test_the_json_form_of_a_protocol_is_that_of_earlier_versions(
    store: Store, tmp_path: Path, protocol: dict[str, object]
) -> None:
    """A record as it was written before, without measurements, without and with a twin."""
    store.add(fake_work.latency("fast"))
    line = {**json.loads(store.path.read_text()), "protocol": protocol}
    store.path.write_text(json.dumps(line) + "\n")
    (record,) = Store(store.path).records()
    assert isinstance(record, Latency)
    copy = Store(tmp_path / "copy.jsonl")
    copy.add(record)
    assert json.loads(copy.path.read_text()) == line
