"""What a tracker gets of the times of a session."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from runners.ablation import sessions
from tests.support import fake_work
from yolact_bench.results.record import Latency


def test_the_reason_of_the_whole_session_stands_with_every_arm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone, the times of `fast` would count. Both are compared with the baseline's."""
    reasons: dict[str, str] = {}
    references: list[Latency] = []

    def log_record(latency: Latency, *, reference: Latency) -> None:
        reasons[latency.arm] = latency.invalid
        references.append(reference)

    units = [SimpleNamespace(arm=arm, seed=0, detect_digest=arm) for arm in ("fast", "sequential")]
    records = [fake_work.latency("fast"), fake_work.latency("sequential", invalid="shared")]

    def session(units: Sequence[object], **_: object) -> list[tuple[object, Latency]]:
        return list(zip(units, records, strict=True))

    monkeypatch.setattr(sessions, "_time", session)
    plan = SimpleNamespace(
        ablation=SimpleNamespace(
            latency=SimpleNamespace(scenarios=("end_to_end",)), seeds=(0,), baseline="fast"
        ),
        steps=[SimpleNamespace(unit=unit) for unit in units],
    )
    context = SimpleNamespace(
        store=SimpleNamespace(accuracy=fake_work.accuracy, has_failed=lambda *_: False),
        retry_failed=False,
        tracker=SimpleNamespace(log_record=log_record),
    )
    sessions.time_arms(plan, context)  # type: ignore[arg-type]
    assert reasons == {"fast": "shared", "sequential": "shared"}
    assert references == [records[0]] * 2
