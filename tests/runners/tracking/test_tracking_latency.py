"""What the times of an arm are called in MLflow, and how those that don't count are kept apart."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.tracking.events import Points, event_from_plain, event_to_plain
from runners.tracking.records import latency_metrics, result_event
from runners.tracking.tracker import Tracker
from tests.support.mlflow_store import seen
from tests.support.tracked_arms import TAGS, latency, manifest, planned
from yolact_bench.results.record import Latency

END_TO_END = latency("fast")


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)


def test_end_to_end_times_have_the_short_names() -> None:
    """Samples 3, 1, 2 ms, NMS 0.5, 0.7, 0.6 ms: medians 2 and 0.6."""
    assert latency_metrics(replace(END_TO_END, energy_mj=7.5, enqueue_ms=(0.5, 0.7, 0.6))) == {
        "latency/e2e_p50_ms": 2.0,
        "latency/samples": 3.0,
        "latency/e2e_enqueue_p50_ms": 0.6,
        "latency/stage/nms_ms": 0.6,
        "memory/peak_mb": 64.0,
        "energy/e2e_mj": 7.5,
    }


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"scenario": "model"}, "model"),
        ({"scenario": "detector", "batch_size": 8}, "detector_b8"),
        ({"batch_size": 8}, "e2e_b8"),
        ({"scenario": "detector", "load": "crowded_100"}, "detector_crowded_100"),
    ],
)
def test_another_scenario_batch_size_or_load_is_in_every_name(
    changes: dict[str, Any], name: str
) -> None:
    other = replace(END_TO_END, **changes)
    assert set(latency_metrics(other)) == {
        f"latency/{name}_p50_ms",
        f"latency/{name}_samples",
        f"latency/{name}_stage/nms_ms",
        f"memory/{name}_peak_mb",
    }


def test_the_ratio_to_the_baseline_is_that_of_paired_rounds() -> None:
    """Of 3, 1, 2 and 6, 2, 3 ms: ratios 2, 2, 1.5, so 2; that of the medians 2 and 3 is 1.5."""
    slower = replace(END_TO_END, samples_ms=(6.0, 2.0, 3.0))
    assert latency_metrics(slower, END_TO_END)["latency/e2e_ratio"] == pytest.approx(2.0)
    longer = replace(END_TO_END, samples_ms=(1.0,) * 4, image_ids=(1, 2, 3, 1))
    assert "latency/e2e_ratio" not in latency_metrics(longer, END_TO_END)


def samples(n: int) -> Latency:
    return replace(END_TO_END, samples_ms=tuple(map(float, range(1, n + 1))))


@pytest.mark.parametrize(("n", "percents"), [(63, ()), (64, (90,)), (661, (90,)), (662, (90, 99))])
def test_far_quantiles_need_enough_samples(n: int, percents: tuple[int, ...]) -> None:
    metrics = latency_metrics(samples(n))
    assert {p for p in (90, 99) if f"latency/e2e_p{p}_ms" in metrics} == set(percents)


def test_times_that_do_not_count_are_no_metric_of_the_comparison() -> None:
    invalid = latency_metrics(replace(END_TO_END, invalid="shared"))
    assert all(name.startswith("invalid/") for name in invalid)
    valid = latency_metrics(END_TO_END)
    assert invalid == {f"invalid/{name}": value for name, value in valid.items()}


def test_the_tag_says_why_times_do_not_count() -> None:
    reason = "throttled: power brake in 1 of 3 samples"
    for invalid, tags in (("", {}), (reason, {"latency_invalid": f"end_to_end: {reason}"})):
        event = result_event(replace(END_TO_END, invalid=invalid), time_ms=1)
        assert isinstance(event, Points)
        assert event.tags == tags


def test_tags_of_points_survive_the_journal() -> None:
    event = result_event(replace(END_TO_END, invalid="shared"), time_ms=1)
    assert event_from_plain(event_to_plain(event)) == event
    old = event_to_plain(event)
    del old["tags"]  # as written before there were any
    assert event_from_plain(old) == replace(event, tags={})


def test_an_invalid_time_is_tagged_on_its_own_run(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path)
    tracker.start(manifest(), "", TAGS)
    tracker.arm_started(planned("fast"), "reuse")
    tracker.log_record(replace(END_TO_END, invalid="shared"))
    tracker.finish("FINISHED")
    tracker.close(60.0)
    found = seen(f"sqlite:///{tmp_path}/mlflow.db", "quick")
    assert found["fast 0"].tags["latency_invalid"] == "end_to_end: shared"
    assert found["fast 0"].points["invalid/latency/e2e_p50_ms"] == [(0, 2.0)]
    assert "latency/e2e_p50_ms" not in found["fast 0"].points
    assert "latency_invalid" not in found["parent"].tags
