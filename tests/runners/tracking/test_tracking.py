"""MLflow gets a copy of an execution, and nothing stops without it."""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from runners.system.environment import environment
from runners.tracking.events import Status
from runners.tracking.records import differences, flatten, started_event
from runners.tracking.tracker import Tracker
from runners.tracking.writer import Writer
from tests.support.no_tracker import NoTracker
from tests.support.tracked_arms import DIGESTS, TAGS, accuracy, failure, latency, manifest, planned
from yolact_bench.errors import SpecError
from yolact_bench.results.manifest import Manifest


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory after an execution of three arms, one of which failed."""
    folder = tmp_path_factory.mktemp("work")
    report = folder / "reports" / "quick"
    report.mkdir(parents=True)
    (report / "report.md").write_text("# quick\n")
    tracker = Tracker(folder)
    tracker.start(manifest(), "name: quick\n", TAGS)
    tracker.arm_started(planned("fast"), "train+evaluate")
    for iteration in range(10, 1010, 10):
        tracker.log_training("fast", 0, iteration, {"train/loss_box": 1.0 / iteration})
    tracker.log_training("fast", 0, 500, {"val/mask_ap": 0.125})
    tracker.log_record(accuracy("fast"))
    tracker.arm_started(planned("soft"), "evaluate")
    tracker.log_record(accuracy("soft"))
    tracker.arm_started(planned("broken"), "train+evaluate")
    tracker.log_record(failure("broken"))
    tracker.drain(60.0)
    tracker.log_record(latency("fast"))
    tracker.log_artifacts(report)
    tracker.finish("FINISHED")
    tracker.close(60.0)
    return folder


def runs(work_dir: Path) -> dict[str, object]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{work_dir}/mlflow.db")
    experiment = client.get_experiment_by_name("quick")
    found = client.search_runs([experiment.experiment_id])
    return {run.data.tags.get("arm", "parent"): run for run in found}


def test_every_arm_is_a_child_of_one_execution(work_dir: Path) -> None:
    found = runs(work_dir)
    assert set(found) == {"parent", "fast", "soft", "broken"}
    parent = found["parent"].info.run_id
    for arm in ("fast", "soft", "broken"):
        tags = found[arm].data.tags
        assert tags["mlflow.parentRunId"] == parent
        assert tags["mlflow.runName"] == f"{arm} · seed 0"
        assert {key: tags[key] for key in DIGESTS} == DIGESTS
        assert {key: tags[key] for key in TAGS} == TAGS
        assert (tags["seed"], tags["proxy"], tags["budget"]) == ("0", "false", "full")
        assert tags["baseline"] == ("true" if arm == "fast" else "false")


def test_the_page_of_an_experiment_says_its_question(work_dir: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{work_dir}/mlflow.db")
    question = client.get_experiment_by_name("quick").tags["mlflow.note.content"]
    assert question == "Does NMS matter?"
    note = runs(work_dir)["parent"].data.tags["mlflow.note.content"]
    assert note == "Does NMS matter?\n\n    yolact-bench run quickstart.yaml"


def test_arms_have_their_difference_to_the_baseline_as_a_metric() -> None:
    """Against the baseline of the same seed: 0.5 - 0.25 = 0.25; seed 1 has no baseline."""
    results = {
        ("base", 0): {"mask/AP": 0.25, "parameters": 10.0},
        ("new", 0): {"mask/AP": 0.5, "box/AP": 0.5, "parameters": 20.0},
        ("new", 1): {"mask/AP": 0.5},
    }
    assert differences(results, "base") == {("new", 0): {"delta/mask/AP": 0.25}}


def test_the_difference_is_a_metric_of_the_child(work_dir: Path) -> None:
    """Both arms have a mask AP of 0.5; only one was timed."""
    found = runs(work_dir)
    assert found["soft"].data.metrics["delta/mask/AP"] == 0.0
    assert "delta/latency/e2e_p50_ms" not in found["soft"].data.metrics
    assert "delta/mask/AP" not in found["fast"].data.metrics


@pytest.mark.parametrize(("budget", "proxy"), [("full", "false"), ("short", "true")])
def test_a_budget_below_the_papers_is_a_proxy(budget: str, proxy: str) -> None:
    event = started_event(manifest(budget=budget), TAGS, time_ms=0, execution="e", spec_text="")
    assert (event.tags["proxy"], event.tags["budget"]) == (proxy, budget)


def test_an_inference_only_arm_is_shown_as_not_trained(work_dir: Path) -> None:
    found = runs(work_dir)
    shown = {
        a: (found[a].data.tags["phase"], found[a].data.tags["trained_here"])
        for a in found
        if a != "parent"
    }
    assert shown["fast"] == ("train+evaluate", "true")
    assert shown["soft"] == ("evaluate", "false")
    assert "train/loss_box" in found["fast"].data.metrics
    assert "train/loss_box" not in found["soft"].data.metrics


def test_the_slots_are_parameters(work_dir: Path) -> None:
    params = runs(work_dir)["soft"].data.params
    assert params["backbone.name"] == "resnet18"
    assert params["anchors.scales"] == "[14, 28, 56, 104, 150]"
    assert params["image_size"] == "160"


def test_metrics_are_those_of_the_records(work_dir: Path) -> None:
    """Latencies 1, 2, 3 ms: median 2, too few for a p90. Mask AP50 = 0.5 + 0.2."""
    metrics = runs(work_dir)["fast"].data.metrics
    assert (metrics["mask/AP"], metrics["mask/AP50"]) == (0.5, 0.7)
    assert metrics["box/AP"] == 0.25
    assert "mask/AP_S" not in metrics
    assert metrics["latency/e2e_p50_ms"] == 2.0
    assert "latency/e2e_p90_ms" not in metrics
    assert metrics["latency/stage/nms_ms"] == 0.6
    assert metrics["memory/peak_mb"] == 64.0
    assert metrics["val/mask_ap"] == 0.125


def test_curves_keep_every_point_with_its_iteration(work_dir: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{work_dir}/mlflow.db")
    run = runs(work_dir)["fast"].info.run_id
    points = client.get_metric_history(run, "train/loss_box")
    assert sorted((p.step, p.value) for p in points) == [
        (iteration, 1.0 / iteration) for iteration in range(10, 1010, 10)
    ]


def test_specs_runs_and_reports_are_artifacts(work_dir: Path) -> None:
    found = runs(work_dir)
    folder = Path(found["parent"].info.artifact_uri.removeprefix("file://"))
    assert folder.is_relative_to(work_dir / "mlartifacts")
    assert (folder / "report.md").read_text() == "# quick\n"
    assert (folder / "spec.yaml").read_text() == "name: quick\n"
    child = Path(found["fast"].info.artifact_uri.removeprefix("file://"))
    assert "name: resnet18" in (child / "run.yaml").read_text()


def test_every_run_has_ended_and_a_failed_arm_as_failed(work_dir: Path) -> None:
    found = runs(work_dir)
    states = {arm: run.info.status for arm, run in found.items()}
    assert states == {
        "parent": "FINISHED",
        "fast": "FINISHED",
        "soft": "FINISHED",
        "broken": "FAILED",
    }
    assert found["broken"].data.tags["failure"] == "non_finite_loss"


def test_a_store_that_cannot_be_opened_stops_nothing_and_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "no-such-scheme://nowhere/x")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="runners.tracking"):
        tracker = Tracker(tmp_path)
        tracker.start(manifest(), "", TAGS)
        for iteration in range(1000):
            tracker.log_training("fast", 0, iteration, {"train/loss_box": 1.0})
        assert time.monotonic() - began < 1.0  # nothing waited for MLflow
        tracker.log_record(accuracy("fast"))
        tracker.finish("FINISHED")
        tracker.close(30.0)
    (warning,) = [r for r in caplog.records if "MLflow misses" in r.message]
    assert "track backfill quick" in warning.message


def test_a_store_that_hangs_is_not_waited_for_beyond_the_timeout(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging:
        def __init__(self, work_dir: Path) -> None:
            time.sleep(3.0)
            raise ConnectionError("at last")

    tracker = Tracker(tmp_path, open_writer=Hanging)
    began = time.monotonic()
    tracker.start(manifest(), "", TAGS)
    tracker.log_record(accuracy("fast"))
    tracker.drain(0.1)
    tracker.close(0.1)
    assert time.monotonic() - began < 1.0
    assert "did not finish within" in caplog.text
    assert f"track backfill quick --work-dir {tmp_path}" in caplog.text


def test_long_values_are_cut_and_nested_options_get_dotted_names() -> None:
    flat = dict(flatten({"a": {"b": [1, 2], "c": None}, "d": "x" * 501, "e": "y" * 500}))
    assert flat["a.b"] == "[1, 2]"
    assert flat["a.c"] == "null"
    assert flat["d"] == "x" * 499 + "…"
    assert flat["e"] == "y" * 500


def test_no_tracker_takes_everything_and_keeps_nothing(tmp_path: Path) -> None:
    tracker = NoTracker()
    tracker.start(manifest(), "", {})
    tracker.arm_started(planned("fast"), "evaluate")
    tracker.log_record(accuracy("fast"))
    tracker.finish("FINISHED")
    tracker.close()
    assert not list(tmp_path.iterdir())


def test_importing_the_tracker_loads_neither_mlflow_nor_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, runners.tracking.backfill, runners.cli.workdir_commands; "
        "sys.exit('mlflow' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_killed_write_has_left_is_no_artifact(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path)
    tracker.start(manifest(), "name: quick\n", TAGS)
    figures = tmp_path / "reports" / "quick" / "figures"
    figures.mkdir(parents=True)
    (figures / "losses.svg").write_text("<svg/>")
    (figures / ".losses.0123abcd.tmp.svg").write_text("<sv")
    tracker.log_artifacts(figures.parent)
    tracker.finish("FINISHED")
    tracker.close(60)

    kept = [p.name for p in (tmp_path / "mlartifacts").rglob("*.svg")]
    assert kept == ["losses.svg"]


class Recorder(NoTracker):
    """Keeps the start and the end of executions."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[object] = []

    def start(self, manifest: Manifest, spec_text: str, tags: Mapping[str, str]) -> None:
        self.log.append((manifest.name, spec_text, tags["spec"], tags["device"]))

    def finish(self, status: Status) -> None:
        self.log.append(status)


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (SpecError, "KILLED"), (KeyboardInterrupt, "KILLED")]
)
def test_an_execution_ends_finished_or_killed(
    tmp_path: Path, error: type[BaseException] | None, status: Status
) -> None:
    (spec := tmp_path / "quick.yaml").write_text("name: quick\n")
    tracker = Recorder()

    with (
        pytest.raises(error) if error else nullcontext(),
        tracker.execution(manifest(), spec=spec, env=environment("cpu")),
    ):
        if error:
            raise error

    device = environment("cpu").device
    assert tracker.log == [("quick", "name: quick\n", "quick.yaml", device), status]


def test_making_the_database_leaves_nothing_but_it(tmp_path: Path) -> None:
    """A client of MLflow makes its tables, and no folder in the current directory."""
    before = set(Path().iterdir())
    Writer(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert set(Path().iterdir()) == before
