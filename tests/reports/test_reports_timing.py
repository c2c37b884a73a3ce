"""Times compare within one session, on one device, round by round."""

import csv
from pathlib import Path

import pytest

from reports.pages.build import read
from reports.summary.sessions import session_rows
from reports.tables import latency as latency_table
from reports.tables.csv import csv_files
from reports.tables.main import comparison
from tests.support import fake_work
from yolact_bench.results.record import Latency, TimingProtocol
from yolact_bench.results.store import Store

DIGESTS = {0: {arm: f"d-{arm}-0" for arm in fake_work.ARMS}}


def _store(tmp_path: Path, *latencies: Latency) -> Store:
    store = Store(tmp_path / "results.jsonl")
    for latency in latencies:
        store.add(latency)
    return store


def test_an_arm_of_another_session_is_refused(tmp_path: Path) -> None:
    store = _store(
        tmp_path,
        fake_work.latency("deformable", session="old"),
        fake_work.latency("fast", session="new"),
        fake_work.latency("sequential", session="new"),
    )
    session = session_rows(store, DIGESTS, "fast")[0]
    assert session.name == "new"
    assert set(session.timings) == {"fast", "sequential"}
    assert "not timed in the same session" in session.refused["deformable"]


def test_of_complete_sessions_the_latest_counts(tmp_path: Path) -> None:
    faster = tuple(10.0 for _ in range(fake_work.ROUNDS))
    store = _store(
        tmp_path,
        fake_work.latency("fast", session="s1"),
        fake_work.latency("fast", session="s2", samples_ms=faster),
    )
    session = session_rows(store, DIGESTS, "fast")[0]
    assert session.timings["fast"].median_ms == 10.0
    assert session.timings["fast"].fps == 100.0  # 1000 / 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"environment": fake_work.environment(device="Other GPU")},
            "device Other GPU here, Example (CPU) with the others",
        ),
        ({"environment": fake_work.environment(threads=1)}, "threads 1 here, 2 with the others"),
        ({"timer": "CUDA events"}, "timer CUDA events here, wall clock with the others"),
    ],
)
def test_a_time_of_another_device_or_timer_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    store = _store(tmp_path, fake_work.latency("fast"), fake_work.latency("sequential", **change))
    session = session_rows(store, DIGESTS, "fast")[0]
    assert reason in session.refused["sequential"]
    assert set(session.timings) == {"fast"}


def test_rounds_on_other_images_have_no_ratio(tmp_path: Path) -> None:
    other = tuple(range(fake_work.ROUNDS))
    store = _store(
        tmp_path, fake_work.latency("fast"), fake_work.latency("sequential", image_ids=other)
    )
    session = session_rows(store, DIGESTS, "fast")[0]
    assert session.timings["sequential"].ratio is None


@pytest.mark.parametrize(
    ("n", "p90", "p99"), [(63, False, False), (64, True, False), (662, True, True)]
)
def test_far_quantiles_need_enough_samples(tmp_path: Path, n: int, p90: bool, p99: bool) -> None:
    samples = tuple(float(1 + place) for place in range(n))
    store = _store(tmp_path, fake_work.latency("fast", samples_ms=samples, image_ids=(1,) * n))
    session = session_rows(store, DIGESTS, "fast")[0]
    timing = session.timings["fast"]
    assert (timing.p90_ms is not None, timing.p99_ms is not None) == (p90, p99)
    if timing.p90_ms is not None:
        assert timing.p90_ms == pytest.approx(1 + 0.9 * (n - 1))  # samples 1, 2, …, n


def test_stages_stand_in_order_of_execution(tmp_path: Path) -> None:
    session = session_rows(_store(tmp_path, fake_work.latency("fast")), DIGESTS, "fast")[0]
    stages = session.timings["fast"].stages_ms
    assert list(stages) == ["preprocess", "backbone", "head", "nms", "upsample"]
    assert stages["nms"] == pytest.approx(6.0)  # 0.15 × 40


def test_each_scenario_load_and_batch_is_a_session_of_its_own(tmp_path: Path) -> None:
    """end_to_end first, whatever was stored first; a declared load behind own detections."""
    kinds = [
        ("model", "", 1),
        ("end_to_end", "coco_like", 1),
        ("end_to_end", "", 8),
        ("end_to_end", "", 1),
    ]
    records = [
        fake_work.latency(arm, session=f"s{n}", scenario=scenario, load=load, batch_size=batch)
        for n, (scenario, load, batch) in enumerate(kinds)
        for arm in ("fast", "sequential")
    ]
    sessions = session_rows(_store(tmp_path, *records), DIGESTS, "fast")
    labels = ["end_to_end", "end_to_end, batch 8", "end_to_end, load coco_like †", "model"]
    assert [session.label for session in sessions] == labels
    assert all(set(session.timings) == {"fast", "sequential"} for session in sessions)


def test_times_of_an_older_protocol_never_stand_beside_newer_ones(tmp_path: Path) -> None:
    old = fake_work.latency("fast", session="old", protocol=TimingProtocol())
    session = session_rows(_store(tmp_path / "a", old), DIGESTS, "fast")[0]
    assert session.label == "end_to_end, protocol 1"
    assert session.meaning == "decoded image to bit masks at image size"

    new = fake_work.latency("fast", session="new")
    sessions = session_rows(_store(tmp_path / "b", new, old), DIGESTS, "fast")
    assert [session.label for session in sessions] == ["end_to_end"]


def test_images_a_second_count_the_whole_batch(tmp_path: Path) -> None:
    """8 images in 20 ms are 400 a second."""
    samples = (20.0,) * fake_work.ROUNDS
    store = _store(tmp_path, fake_work.latency("fast", batch_size=8, samples_ms=samples))
    session = session_rows(store, DIGESTS, "fast")[0]
    assert session.timings["fast"].fps == 400


def test_the_spread_is_between_the_quartiles(tmp_path: Path) -> None:
    """Of 1 … 101 the quartiles are 26 and 76."""
    samples = tuple(float(ms) for ms in range(1, 102))
    latency = fake_work.latency("fast", samples_ms=samples, image_ids=(1,) * 101)
    session = session_rows(_store(tmp_path, latency), DIGESTS, "fast")[0]
    assert session.timings["fast"].iqr_ms == 50


@pytest.mark.parametrize(
    ("scenario", "enqueue", "warned"),
    [("model", 0.81, True), ("model", 0.79, False), ("end_to_end", 1.0, False)],
)
def test_a_host_that_is_busy_most_of_a_call_is_named(
    tmp_path: Path, scenario: str, enqueue: float, warned: bool
) -> None:
    """More than 0.8 of the device's time; what ends on the host keeps it busy by definition."""
    latency = fake_work.latency("fast", scenario=scenario)
    busy = tuple(enqueue * ms for ms in latency.samples_ms)
    store = _store(tmp_path, fake_work.latency("fast", scenario=scenario, enqueue_ms=busy))
    session = session_rows(store, DIGESTS, "fast")[0]
    assert any("launch-bound" in w for w in session.timings["fast"].warnings) == warned


def test_what_is_doubtful_about_an_arm_is_a_note_under_its_times(tmp_path: Path) -> None:
    protocol = TimingProtocol(version=2, warmup_stable=False, stage_notes=("nms: 1 ms, or 2 ms",))
    work = fake_work.write_work(
        tmp_path,
        [fake_work.accuracy("fast"), fake_work.latency("fast", protocol=protocol, inexact=3)],
    )
    summary = read(work, fake_work.NAME)
    table = latency_table.latency(summary, summary.sessions[0])
    assert table.rows[0][0] == "fast ¹ ² ³"
    notes = " ".join(table.notes)
    assert "still changing when the warm-up ended" in notes
    assert "3 images for which fixed numbers of candidates" in notes
    assert "nms: 1 ms, or 2 ms" in notes


def test_batch_norms_that_could_not_be_folded_are_noted_at_the_time(tmp_path: Path) -> None:
    records = [fake_work.accuracy("fast"), fake_work.accuracy("sequential")]
    times = [fake_work.latency("fast", unfolded_norms=3), fake_work.latency("sequential")]
    summary = read(fake_work.write_work(tmp_path, [*records, *times]), fake_work.NAME)
    note = "3 batch norms of fast could not be folded; its time is higher than necessary"
    table = comparison(summary)
    column = next(place for place, head in enumerate(table.columns) if head.startswith("ms"))
    times_of = {row[0]: row[column] for row in table.rows}
    (mark,) = (line.split()[0] for line in table.notes if line.endswith(note))
    assert times_of["fast"].endswith(f" {mark}")
    assert mark not in times_of["sequential"]
    assert [w for w in summary.warnings if "folded" in w] == [f"{note} (end_to_end)."]


def test_a_declared_load_is_marked_and_explained(tmp_path: Path) -> None:
    work = fake_work.write_work(
        tmp_path, [fake_work.accuracy("fast"), fake_work.latency("fast", load="crowded_100")]
    )
    summary = read(work, fake_work.NAME)
    table = latency_table.latency(summary, summary.sessions[0])
    assert table.title == "Latency: end_to_end, load crowded_100 †"
    assert table.rows[0][1] == "end_to_end, load crowded_100 †"
    assert "† declared detection load crowded_100" in " ".join(table.notes)
    assert "end_to_end, load crowded_100 †" in " ".join(comparison(summary).columns)


def test_the_csv_names_the_scenario_of_every_line(tmp_path: Path) -> None:
    records = [fake_work.accuracy("fast")]
    records += [fake_work.latency("fast", session=s, scenario=s) for s in ("model", "end_to_end")]
    summary = read(fake_work.write_work(tmp_path, records), fake_work.NAME)
    lines = [
        line
        for line in csv.DictReader(csv_files(summary)["latency.csv"].splitlines())
        if line["arm"] == "fast"
    ]
    assert [(line["scenario"], line["protocol"]) for line in lines] == [
        ("end_to_end", "2"),
        ("model", "2"),
    ]
    assert float(lines[0]["nms_ms"]) == pytest.approx(6.0)
    assert float(lines[0]["detections"]) == 12.5


def test_unfolded_norms_are_noted_in_every_table_of_times(tmp_path: Path) -> None:
    """Two arms were not timed in the second session, which is its note ¹."""
    records = [
        *fake_work.finished_records(),
        *(
            fake_work.latency(arm, session="s2", scenario="model", unfolded_norms=norms)
            for arm, norms in (("fast", 0), ("deformable", 53))
        ),
    ]
    summary = read(fake_work.write_work(tmp_path, records), fake_work.NAME)
    note = "53 batch norms of deformable could not be folded; its time is higher than necessary"
    end_to_end, model = (latency_table.latency(summary, s) for s in summary.sessions)
    assert note not in " ".join((*comparison(summary).notes, *end_to_end.notes))
    assert f"² {note}" in model.notes
    times = {row[0]: row[2] for row in model.rows}
    assert times["deformable"].endswith("] ²")
    assert "²" not in times["fast"]
