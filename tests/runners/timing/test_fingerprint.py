"""Times stand in one column where hardware, software and protocol are the same, and count."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.compare.times import latency_changes
from reports.summary.caveats import caveats
from reports.summary.sessions import session_rows
from reports.summary.timings import SessionRow
from runners.timing.device.watch import DeviceWatch
from tests.support import fake_work
from tests.support.fake_nvml import UUID, FakeNvml
from yolact_bench.results.fingerprint import fingerprint, mismatch, timing_facts
from yolact_bench.results.record import Latency, TimingProtocol
from yolact_bench.results.serialise import to_plain
from yolact_bench.results.store import Store

DIGESTS = {0: {arm: f"d-{arm}-0" for arm in fake_work.ARMS}}
PLAIN = fake_work.latency("fast")


def gpu_facts(nvml: FakeNvml) -> dict[str, object]:
    with DeviceWatch(UUID, nvml=nvml, sleep=lambda _: None) as session:
        pass
    plain = to_plain(session.facts())
    assert isinstance(plain, dict)
    return plain


def sessions_of(folder: Path, *latencies: Latency) -> tuple[SessionRow, ...]:
    store = Store(folder / "results.jsonl")
    for latency in latencies:
        store.add(latency)
    return session_rows(store, DIGESTS, "fast")


def session_of(folder: Path, *latencies: Latency) -> SessionRow:
    return sessions_of(folder, *latencies)[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"environment": fake_work.environment(device="B")}, "device Example (CPU) here, B there"),
        ({"environment": fake_work.environment(threads=1)}, "threads 2 here, 1 there"),
        ({"environment": fake_work.environment(driver="575.2")}, "driver unknown here, 575.2"),
        ({"environment": fake_work.environment(versions={"torch": "2.12"})}, "torch 2.11.0 here"),
        ({"timer": "CUDA events"}, "timer wall clock here, CUDA events there"),
        ({"scenario": "model"}, "scenario end_to_end here, model there"),
        ({"batch_size": 8}, "batch size 1 here, 8 there"),
        ({"load": "coco_like"}, "detections its own here, coco_like there"),
        ({"protocol": TimingProtocol(version=3)}, "protocol version 2 here, 3 there"),
        ({"facts": gpu_facts(FakeNvml())}, "GPU memory unknown here, 140 GiB there; MIG unknown"),
    ],
)
def test_each_of_these_makes_another_fingerprint_and_is_named(
    change: dict[str, object], text: str
) -> None:
    here, there = timing_facts(PLAIN), timing_facts(replace(PLAIN, **change))  # type: ignore[arg-type]
    assert fingerprint(here) != fingerprint(there)
    assert text in mismatch(here, there)


@pytest.mark.parametrize(
    "change",
    [
        {"environment": fake_work.environment(commit="other", dirty=True)},
        {"precision": "bf16"},
        {"protocol": TimingProtocol(version=2, rounds=80)},
        {"samples_ms": (1.0,), "warmup": 3, "session": "other"},
    ],
)
def test_commit_precision_and_what_a_session_measured_leave_the_fingerprint_alone(
    change: dict[str, object],
) -> None:
    here, there = timing_facts(PLAIN), timing_facts(replace(PLAIN, **change))  # type: ignore[arg-type]
    assert fingerprint(here) == fingerprint(there)
    assert mismatch(here, there) == ""


def test_a_smaller_slice_of_a_gpu_is_other_hardware() -> None:
    whole = replace(PLAIN, facts=gpu_facts(FakeNvml()))
    sliced = gpu_facts(FakeNvml(uuids={f"MIG-{UUID}": "handle of a slice"}))
    text = mismatch(timing_facts(whole), timing_facts(replace(PLAIN, facts=sliced)))
    assert text == "GPU memory 140 GiB here, 18 GiB there; MIG off here, 1g.18gb there"


def test_the_report_refuses_an_unlike_arm_with_the_words(tmp_path: Path) -> None:
    newer = fake_work.environment(driver="575.2")
    session = session_of(
        tmp_path,
        fake_work.latency("fast", environment=fake_work.environment(driver="570.1")),
        fake_work.latency("sequential", environment=newer),
        fake_work.latency("deformable", session="s0", environment=newer),
    )
    assert session.refused["sequential"] == "driver 575.2 here, 570.1 with the others"
    assert "not timed in the same session" in session.refused["deformable"]
    assert session.refused["deformable"].endswith("driver 575.2 here, 570.1 with the others")
    assert set(session.timings) == {"fast"}


def test_an_invalid_session_gives_its_reason_and_no_time(tmp_path: Path) -> None:
    shared = "shared: the GPU was in use by train as well"
    arms = ("fast", "sequential")
    session = session_of(tmp_path, *(fake_work.latency(arm, invalid=shared) for arm in arms))
    assert session.timings == {}
    assert session.invalid == shared
    for arm in arms:
        assert session.refused[arm] == f"the measurement does not count ({shared})"


def test_a_session_that_counts_is_chosen_before_a_later_one_that_does_not(tmp_path: Path) -> None:
    session = session_of(
        tmp_path,
        fake_work.latency("fast", session="good"),
        fake_work.latency("fast", session="bad", invalid="shared"),
        fake_work.latency("sequential", session="bad", invalid="shared"),
    )
    assert (session.name, session.invalid) == ("good", "")
    assert "does not count (shared)" in session.refused["sequential"]


def test_compare_refuses_times_that_do_not_count(tmp_path: Path) -> None:
    good = session_of(tmp_path / "a", fake_work.latency("fast"))
    bad = session_of(tmp_path / "b", fake_work.latency("fast", invalid="shared"))
    changes, refused = latency_changes([good], [bad], {"fast": "fast"})
    assert changes == ()
    assert refused == "those of B do not count (shared)"


def test_compare_names_what_differs(tmp_path: Path) -> None:
    good = session_of(tmp_path / "a", fake_work.latency("fast"))
    newer = fake_work.environment(driver="575.2")
    other = session_of(tmp_path / "b", fake_work.latency("fast", environment=newer))
    _, refused = latency_changes([good], [other], {"fast": "fast"})
    assert refused == "driver unknown in A, 575.2 in B"


def test_reasons_to_doubt_the_times_are_among_the_caveats(tmp_path: Path) -> None:
    facts = {**gpu_facts(FakeNvml()), "warnings": ["other programs kept 1.0 of 2 CPU cores busy"]}
    session = session_of(tmp_path, fake_work.latency("fast", facts=facts))
    text = caveats(fake_work.manifest(), [], [session])
    assert text == (
        "While the arms were timed (end_to_end): other programs kept 1.0 of 2 CPU cores busy.",
    )


def test_every_scenario_is_compared_with_its_own_kind(tmp_path: Path) -> None:
    """The network is 40 ms in both, the whole 40 and 20 ms; batches of 8 are in one alone."""
    whole = fake_work.latency("fast")
    faster = replace(whole, samples_ms=tuple(ms / 2 for ms in whole.samples_ms))
    network = replace(whole, scenario="model", session="m")
    eight = replace(whole, batch_size=8, session="b")
    a = sessions_of(tmp_path / "a", whole, network, eight)
    b = sessions_of(tmp_path / "b", network, faster)
    changes, refused = latency_changes(a, b, {"fast": "fast"})
    ratios = {change.scenario: change.ratio for change in changes}
    assert ratios == {"end_to_end": pytest.approx(0.5), "model": pytest.approx(1.0)}
    assert refused == "end_to_end, batch 8: B has none"
