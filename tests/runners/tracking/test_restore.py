"""Times restored from records: those of the session that a report shows, with its validity."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runners.tracking.events import Points
from runners.tracking.restore import restored_events
from tests.support import fake_work
from yolact_bench.results import sessions
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Record
from yolact_bench.results.sessions import Times
from yolact_bench.results.store import Store

TIMED = ("fast", "sequential", "cross_class_fast", "deformable")


def restored_times(
    work: Path, manifest: Manifest, records: Sequence[Record]
) -> dict[str, dict[str, float]]:
    """The restored values of each arm that are times, from a work directory with these records."""
    fake_work.write_work(work, records, manifest)
    events = restored_events(manifest, Store(work / "results.jsonl"), work)
    points = [event for event in events if isinstance(event, Points)]
    return {p.arm: dict(p.values) for p in points if any("latency/" in name for name in p.values)}


def test_an_external_row_and_a_failed_arm_do_not_hide_the_times_of_the_others(
    tmp_path: Path,
) -> None:
    """`broken` has no result, and the other program reports a time of its own."""
    manifest = fake_work.manifest()
    other = replace(manifest.runs[0], arm="other", detect_digest="e-0", run={})
    accuracy = replace(fake_work.accuracy("fast"), arm="other", detect_digest="e-0")
    reported = replace(
        fake_work.latency("fast", session="external-e-0", reported=True),
        arm="other",
        detect_digest="e-0",
    )
    times = restored_times(
        tmp_path,
        replace(manifest, runs=(*manifest.runs, other)),
        [*fake_work.finished_records(), accuracy, reported],
    )
    assert set(times) == set(TIMED)


def test_an_arm_that_could_not_be_timed_does_not_hide_the_times_of_the_others(
    tmp_path: Path,
) -> None:
    records: list[Record] = [fake_work.accuracy(arm) for arm in TIMED]
    records += [fake_work.failure("deformable", phase="latency")]
    records += [fake_work.latency(arm) for arm in TIMED[:3]]
    assert set(restored_times(tmp_path, fake_work.manifest(), records)) == set(TIMED[:3])


def test_a_rule_that_one_arm_breaks_invalidates_the_times_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(arms: Sequence[Times]) -> str:
        return "slow" if any(max(arm.samples_ms) > 50 for arm in arms) else ""

    # Only `deformable` has 60 ms.
    monkeypatch.setattr(sessions, "RULES", (sessions.measured_reason, slow))
    times = restored_times(tmp_path, fake_work.manifest(), fake_work.finished_records())
    assert {name.split("/")[0] for values in times.values() for name in values} == {"invalid"}
    assert set(times) == set(TIMED)
