"""What MLflow missed is written later, once, whether the store or the process was away."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runners.cli.main import app
from runners.tracking.backfill import backfill
from runners.tracking.journal import journals, read_events
from runners.tracking.writer import Writer
from tests.support.mlflow_store import seen
from tests.support.paths import ROOT
from tests.support.recorded_execution import (
    ITERATIONS,
    accounts,
    begin,
    bring_back,
    go_on,
    new_store,
    take_away,
    undisturbed,
    until_trouble,
    write_records,
)
from tests.support.tracked_arms import accuracy, planned
from yolact_bench.errors import SpecError


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making them takes seconds."""
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("empty")
    MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store of its own, as a user would set it."""
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    return new_store(tmp_path / "store", empty_store, monkeypatch)


def test_a_store_that_is_away_for_a_while_ends_with_everything(
    tmp_path: Path, uri: str, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, store = tmp_path / "work", tmp_path / "store"
    tracker = begin(work)
    tracker.drain()
    take_away(store)
    tracker.arm_started(planned("soft"), "evaluate")
    until_trouble(tracker)
    go_on(tracker, work)  # nothing of it can be written now
    monkeypatch.chdir(tmp_path)
    bring_back(store)
    monkeypatch.chdir(store)
    tracker.drain()
    tracker.close()
    expected = undisturbed(tmp_path / "other", empty_store, monkeypatch)
    assert accounts(uri) == expected
    assert [step for step, _ in expected["fast 0"].points["train/loss_box"]] == [*ITERATIONS]


def test_a_store_that_stays_away_is_filled_afterwards_and_only_once(
    tmp_path: Path,
    uri: str,
    empty_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The parent and the first of three children were written before."""
    work, store = tmp_path / "work", tmp_path / "store"
    tracker = begin(work)
    tracker.drain()
    take_away(store)
    monkeypatch.chdir(tmp_path)
    go_on(tracker, work)
    tracker.close()
    assert "track backfill quick" in caplog.text
    bring_back(store)
    monkeypatch.chdir(store)
    (done,) = backfill(work, "quick")
    assert done.runs == 2
    assert accounts(uri) == undisturbed(tmp_path / "other", empty_store, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = seen(uri, "quick")
    (again,) = backfill(work)
    assert (again.runs, again.points) == (0, 0)
    assert seen(uri, "quick") == before


def test_a_fresh_store_gets_the_same_tree_with_the_same_times(
    tmp_path: Path, uri: str, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    tracker = begin(work)
    go_on(tracker, work)
    tracker.close()
    fresh = new_store(tmp_path / "fresh", empty_store, monkeypatch)
    (done,) = backfill(work)
    assert done.runs == 4
    assert seen(fresh, "quick") == seen(uri, "quick")


def test_an_answer_that_never_came_writes_nothing_twice(
    tmp_path: Path, uri: str, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call of each kind to each run does its work and fails all the same."""
    from mlflow.tracking import MlflowClient

    expected = undisturbed(tmp_path / "other", empty_store, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    cut_off: set[tuple[object, ...]] = set()
    for name in ("create_run", "log_batch", "set_tag", "set_terminated", "create_experiment"):
        plain = getattr(MlflowClient, name)

        def cut(
            self: object, *args: object, plain: Callable[..., object] = plain, **options: object
        ) -> object:
            answer = plain(self, *args, **options)
            call = (plain, args[:1], *options)
            if call in cut_off:
                return answer
            cut_off.add(call)
            raise ConnectionError("cut")

        monkeypatch.setattr(MlflowClient, name, cut)
    tracker = begin(tmp_path / "work")
    go_on(tracker, tmp_path / "work")
    deadline = time.monotonic() + 30
    tracker.drain(5.0)
    while tracker.fault:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        tracker.drain(5.0)
    tracker.close()
    assert len(cut_off) > 10
    assert accounts(uri) == expected


def test_a_killed_execution_ends_as_killed_but_a_living_one_is_left_alone(
    tmp_path: Path, uri: str
) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.support.recorded_execution import begin\n"
        "tracker = begin(Path(sys.argv[1])); tracker.drain()\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    work = tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(work)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    (living,) = backfill(work)
    assert living.running
    process.kill()
    process.wait()
    (done,) = backfill(work)
    assert (done.running, done.runs, done.points) == (False, 0, 0)
    assert {name: run.status for name, run in seen(uri, "quick").items()} == {
        "parent": "KILLED",
        "fast 0": "KILLED",
    }


def test_a_line_torn_by_a_crash_is_left_out_and_another_is_an_error(
    tmp_path: Path, uri: str
) -> None:
    tracker = begin(tmp_path)
    tracker.close()  # a thread left behind would write to the store of the next test
    (path,) = journals(tmp_path, "quick")
    whole = [event for event, _ in read_events(path)]
    assert len(whole) == 12  # start, arm, 10 points
    with path.open("a") as file:
        file.write('{"event": "Poi')
    assert [event for event, _ in read_events(path)] == whole
    with path.open("a") as file:
        file.write("\n")
    with pytest.raises(SpecError, match="remove this line"):
        list(read_events(path))


def test_deleting_the_journal_stops_nothing(
    tmp_path: Path, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = begin(tmp_path)
    tracker.drain()
    shutil.rmtree(tmp_path / "executions")
    tracker.log_record(accuracy("fast"))
    tracker.drain(5.0)
    tracker.close(5.0)
    assert "MLflow misses a part of this execution (FileNotFoundError" in caplog.text


def test_without_a_journal_the_tree_is_made_from_the_records(tmp_path: Path, uri: str) -> None:
    """Times: the record is of 2026-01-01T00:00 (1767225600 s), the training took 12.5 s."""
    work = tmp_path / "work"
    write_records(work)
    (done,) = backfill(work, "quick")
    assert done.runs == 4
    found = seen(uri, "quick")
    assert set(found) == {"parent", "fast 0", "soft 0", "broken 0"}
    assert {name: run.tags["phase"] for name, run in found.items()} == {
        "parent": "ablation",
        "fast 0": "train+evaluate",  # its record names this ablation and arm
        "soft 0": "reuse",
        "broken 0": "evaluate",
    }
    assert found["fast 0"].parent == "parent"
    assert found["fast 0"].points["train/loss_box"] == [(10, 0.1), (20, 0.05)]
    assert found["fast 0"].points["val/mask_ap"] == [(20, 0.125)]
    assert found["fast 0"].times["train/loss_box"] == [1767225587600, 1767225587700]
    assert found["fast 0"].points["mask/AP"] == [(0, 0.5)]
    assert found["fast 0"].points["latency/e2e_p50_ms"] == [(0, 2.0)]
    assert found["soft 0"].points["delta/mask/AP"] == [(0, 0.0)]
    assert found["broken 0"].status == "FAILED"
    assert found["parent"].status == "FINISHED"
    assert found["parent"].tags["spec"] == "quickstart.yaml"  # of the command in the manifest
    assert "report.md" in found["parent"].artifacts
    assert found["soft 0"].artifacts == ["run.yaml"]
    (again,) = backfill(work)
    assert (again.runs, again.points) == (0, 0)
    assert seen(uri, "quick") == found


def test_a_run_deleted_in_the_user_interface_stays_deleted(tmp_path: Path, uri: str) -> None:
    from mlflow.tracking import MlflowClient

    write_records(tmp_path)
    backfill(tmp_path)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("quick").experiment_id
    (run,) = client.search_runs([experiment], "tags.arm = 'soft'")
    client.delete_run(run.info.run_id)
    (done,) = backfill(tmp_path)
    assert done.runs == 0
    assert set(seen(uri, "quick")) == {"parent", "fast 0", "broken 0"}


def test_the_command_prints_what_it_added_and_what_is_wrong(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["track", "backfill", "--work-dir", str(tmp_path)]
    with pytest.raises(SpecError, match="no ablation has been run"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    write_records(tmp_path)
    with pytest.raises(SpecError, match="did you mean 'quick'"):
        CliRunner().invoke(app, [*command, "quik"], catch_exceptions=False)
    first = CliRunner().invoke(app, command, catch_exceptions=False).output
    assert first.startswith("quick restored-")
    assert ": 4 runs and " in first
    second = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).output
    (execution,) = json.loads(second)["executions"]
    assert (execution["ablation"], execution["runs"], execution["points"]) == ("quick", 0, 0)
    third = CliRunner().invoke(app, command, catch_exceptions=False).output
    assert third.rstrip().endswith("nothing was missing")

    def broken(self: Writer, event: object) -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(Writer, "apply", broken)
    with pytest.raises(SpecError, match=r"cannot be written .ConnectionError: refused"):
        CliRunner().invoke(app, command, catch_exceptions=False)
