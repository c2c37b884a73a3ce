"""One execution's runs in MLflow: an experiment, a parent run, a child run for every arm."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runners.environment import source_commit
from runners.tracking.metrics import LONGEST_VALUE, flatten
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.record import Accuracy, Failure, Latency

if TYPE_CHECKING:
    from mlflow.entities import Metric

# What an execution did for an arm itself: "reuse" says that its records stood already.
Phase = Literal["train+evaluate", "evaluate", "latency", "reuse"]
Status = Literal["FINISHED", "FAILED", "KILLED"]

FLUSH_SECONDS = 5.0
_METRICS_A_BATCH = 500
_PARAMS_A_BATCH = 100  # MLflow's limit
# A tracking server that is away may cost seconds a call, not the two minutes of the default.
# MLflow's usage reports, progress bars and start-up messages are not wanted in a bench.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}


def store_uri(work_dir: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or the embedded store of the work directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{work_dir.resolve()}/mlflow.db"


class Writer:
    """The MLflow client with the runs of one execution. Lives in the tracker's thread."""

    def __init__(self, work_dir: Path) -> None:
        for key, value in _SETTINGS.items():
            os.environ.setdefault(key, value)
        from mlflow import entities
        from mlflow.tracking import MlflowClient

        self._entities = entities
        self._client = MlflowClient(tracking_uri=store_uri(work_dir))
        self._artifacts = (
            None if os.environ.get("MLFLOW_TRACKING_URI") else work_dir.resolve() / "mlartifacts"
        )
        self._experiment = ""
        self._parent = ""
        self._tags: dict[str, str] = {}
        self._children: dict[tuple[str, int], str] = {}
        self._ended: set[str] = set()
        self._points: list[tuple[str, Metric]] = []
        self._flushed = time.monotonic()

    @property
    def has_parent(self) -> bool:
        """Whether there is a run to write to."""
        return bool(self._parent)

    def start(self, ablation: str, spec_text: str, tags: Mapping[str, str]) -> None:
        """Open the parent run, in the experiment named after the ablation."""
        commit, dirty = source_commit()
        own = {"spec": ablation, "git_commit": commit, "dirty": _word(dirty), "proxy": "false"}
        self._tags = {**own, **tags}
        self._experiment = self._experiment_id(ablation)
        name = time.strftime("%Y-%m-%d %H:%M:%S")
        self._parent = self._create(name, {**self._tags, "phase": "ablation"})
        self._client.log_text(self._parent, spec_text, "spec.yaml")

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        """Open a child run with its slots as parameters and its run.yaml."""
        digests = (planned.train_digest, planned.detect_digest)
        child = self._child(planned.arm, planned.seed, digests, phase)
        params = [self._entities.Param(key, value) for key, value in flatten(planned.run)]
        for start in range(0, len(params), _PARAMS_A_BATCH):
            self._client.log_batch(child, params=params[start : start + _PARAMS_A_BATCH])
        self._client.log_text(child, _yaml(planned.run), "run.yaml")

    def add(
        self, arm: str, seed: int, metrics: Mapping[str, float], time_ms: int, step: int
    ) -> None:
        """Keep points of a child for the next batch."""
        child = self._children[arm, seed]
        metric = self._entities.Metric
        self._points += [
            (child, metric(name, value, time_ms, step)) for name, value in metrics.items()
        ]
        late = time.monotonic() - self._flushed > FLUSH_SECONDS
        if late or len(self._points) >= _METRICS_A_BATCH:
            self.flush()

    def flush(self) -> None:
        """Send the points kept so far."""
        points, self._points = self._points, []
        self._flushed = time.monotonic()
        for child in dict.fromkeys(run for run, _ in points):
            of_child = [point for run, point in points if run == child]
            for start in range(0, len(of_child), _METRICS_A_BATCH):
                batch = of_child[start : start + _METRICS_A_BATCH]
                self._client.log_batch(child, metrics=batch)

    def log_record(
        self, record: Accuracy | Latency, metrics: Mapping[str, float], time_ms: int
    ) -> None:
        """Add the metrics of a record to its child, marked where a proxy was trained."""
        digests = (record.train_digest, record.detect_digest)
        phase: Phase = "evaluate" if isinstance(record, Accuracy) else "latency"
        child = self._child(record.arm, record.seed, digests, phase)
        if isinstance(record, Accuracy) and record.proxy:
            self._client.set_tag(child, "proxy", "true")
        self.add(record.arm, record.seed, metrics, time_ms, 0)

    def log_failure(self, failure: Failure) -> None:
        """End a child as failed, with kind, message and traceback."""
        digests = (failure.train_digest, failure.detect_digest)
        child = self._child(failure.arm, failure.seed, digests, "evaluate")
        self._client.set_tag(child, "failure", failure.kind)
        self._client.set_tag(child, "failure_message", failure.message[:LONGEST_VALUE])
        self._client.log_text(child, failure.traceback, "traceback.txt")
        self._end(child, "FAILED")

    def log_artifacts(self, folder: Path) -> None:
        """Copy the files of a folder to the parent."""
        self._client.log_artifacts(self._parent, str(folder))

    def finish(self, status: Status) -> None:
        """End every run that is still open."""
        self.flush()
        for run in (*self._children.values(), self._parent):
            self._end(run, status)

    def _end(self, run: str, status: Status) -> None:
        self.flush()
        if run not in self._ended:
            self._client.set_terminated(run, status)
            self._ended.add(run)

    def _child(self, arm: str, seed: int, digests: tuple[str, str], phase: Phase) -> str:
        """Return the run of an arm; opened here if the arm was not announced."""
        if (arm, seed) not in self._children:
            tags = {
                "mlflow.parentRunId": self._parent,
                "arm": arm,
                "seed": str(seed),
                "phase": phase,
                "trained_here": _word(phase == "train+evaluate"),
                "train_digest": digests[0],
                "detect_digest": digests[1],
            }
            name = f"{arm} · seed {seed}"
            self._children[arm, seed] = self._create(name, {**self._tags, **tags})
        return self._children[arm, seed]

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def _experiment_id(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is None:
            folder = self._artifacts / name if self._artifacts else None
            location = folder.as_uri() if folder else None
            return str(self._client.create_experiment(name, artifact_location=location))
        if known.lifecycle_stage == "deleted":  # in the user interface, by somebody
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)


def _yaml(data: Mapping[str, object]) -> str:
    import yaml

    # Through JSON, as YAML would tag tuples with Python's type.
    return str(yaml.safe_dump(json.loads(json.dumps(data)), sort_keys=False))


def _word(claim: bool) -> str:
    return "true" if claim else "false"
