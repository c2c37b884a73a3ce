"""Whether an earlier session stands for a new one, and why not."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support import fake_work
from yolact_bench.results.record import TimingProtocol
from yolact_bench.results.session_request import SessionRequest, session_for
from yolact_bench.results.sessions import Kind, sessions_to_show
from yolact_bench.results.store import Store

FAST, BOTH = ("d-fast-0",), ("d-fast-0", "d-sequential-0")
NARROW = TimingProtocol(
    version=2, rel_ci=0.01, max_s=300.0, rounds=80, ended="narrow", half_width=0.009
)
REQUEST = SessionRequest(
    digests=BOTH,
    kind=Kind("end_to_end", 2, 1, ""),
    environment=fake_work.environment(commit="of today"),
    rel_ci=0.01,
    max_s=300.0,
    rounds=None,
    twin=False,
)
add = partial(fake_work.add_session, protocol=NARROW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results.jsonl")


def outcome(store: Store, request: SessionRequest = REQUEST) -> tuple[str | None, str]:
    session, reason = session_for(store, request)
    return session and session.name, reason


def test_the_latest_session_that_answers_the_request_is_taken(store: Store) -> None:
    assert outcome(store) == (None, "")
    add(store, "s1")
    add(store, "s2")
    add(store, "s3", "fast")
    assert outcome(store) == ("s2", "")
    assert outcome(store, replace(REQUEST, digests=FAST)) == ("s3", "")
    third = replace(REQUEST, digests=(*BOTH, "d-deformable-0"))
    assert outcome(store, third) == (None, "an arm was not timed in it")
    assert outcome(store, replace(REQUEST, digests=())) == (None, "")


@pytest.mark.parametrize(("now", "stands"), [("1a", True), ("", True), ("2b", False)])
def test_times_of_weights_that_were_replaced_are_not_taken(
    store: Store, now: str, stands: bool
) -> None:
    """Where the weights are gone, or a session does not name its own, nothing is known."""
    request = replace(REQUEST, digests=FAST, weights_of=lambda digest: now)
    add(store, "unnamed", "fast")
    assert outcome(store, request) == ("unnamed", "")
    add(store, "named", "fast", weights_sha256="1a")
    reason = "the weights of fast have been replaced since"
    assert outcome(store, request) == ("named" if stands else "unnamed", "")
    later = Store(store.path.with_name("later.jsonl"))
    add(later, "named", "fast", weights_sha256="1a")
    assert outcome(later, request) == (("named", "") if stands else (None, reason))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scenario": "model"}, ""),
        ({"batch_size": 8}, ""),
        ({"load": "coco_like"}, ""),
        ({"reported": True}, ""),
        ({"protocol": replace(NARROW, version=3)}, ""),
        ({"invalid": "shared"}, "it does not count (shared)"),
        (
            {"environment": fake_work.environment(device="Other (CPU)")},
            "device Other (CPU) then, Example (CPU) now",
        ),
        (
            {"environment": fake_work.environment(versions={"python": "3.11.2", "numpy": "2.4.0"})},
            "torch unknown then, 2.11.0 now",
        ),
    ],
)
def test_other_times_are_not_taken(store: Store, changes: dict[str, object], reason: str) -> None:
    """Of another kind of session none is the reason: the plan asks for something else."""
    add(store, "other", **changes)
    assert outcome(store) == (None, reason)


@pytest.mark.parametrize(
    ("protocol", "changes", "reason"),
    [
        ({}, {"rel_ci": 0.02}, ""),
        ({}, {"rel_ci": 0.005}, "it ended after 80 rounds, with ±0.9 %"),
        ({}, {"rounds": 200}, ""),  # they would have ended after 80, too
        ({"half_width": 0.02, "ended": "rounds"}, {}, "it ended after 80 rounds, with ±2.0 %"),
        ({"half_width": 0.02, "ended": "rounds"}, {"rounds": 80}, ""),
        (
            {"half_width": 0.02, "ended": "rounds"},
            {"rounds": 81},
            "it ended after 80 rounds, with ±2.0 %",
        ),
        ({"half_width": 0.02, "ended": "time"}, {}, ""),
        ({"half_width": 0.02, "ended": "time"}, {"max_s": 10.0}, ""),
        (
            {"half_width": 0.02, "ended": "time", "max_s": 4.0},
            {},
            "it ended after 80 rounds, with ±2.0 %",
        ),
        (
            {"half_width": None, "ended": "rounds", "rounds": 2},
            {},
            "it ended after 2 rounds, with an unknown width",
        ),
        ({"half_width": None, "ended": "rounds", "rounds": 2}, {"rounds": 2}, ""),
        ({}, {"twin": True}, "no arm was timed twice"),
        ({"twin_of": "fast"}, {"twin": True}, ""),
        ({"twin_of": "fast"}, {}, ""),
    ],
)
def test_the_rounds_are_as_many_as_the_request_would_take(
    store: Store, protocol: dict[str, object], changes: dict[str, object], reason: str
) -> None:
    add(store, "s", protocol=replace(NARROW, **protocol))  # type: ignore[arg-type]
    request = replace(REQUEST, **changes)  # type: ignore[arg-type]
    assert outcome(store, request) == (None if reason else "s", reason)


def test_the_widest_arm_decides(store: Store) -> None:
    add(store, "s", "fast")
    add(store, "s", "sequential", protocol=replace(NARROW, half_width=0.03))
    assert outcome(store) == (None, "it ended after 80 rounds, with ±3.0 %")


def test_a_report_shows_the_times_of_another_machine(store: Store) -> None:
    elsewhere = fake_work.environment(device="Other (CPU)")
    add(store, "s", environment=elsewhere)
    assert outcome(store)[0] is None
    (choice,) = sessions_to_show(store, {0: {"fast": FAST[0]}}, "fast")
    assert choice.reference.environment == elsewhere
