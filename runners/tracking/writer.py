"""Events become runs in MLflow. An event that comes again adds only what the store lacks."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import yaml

from runners.tracking.events import (
    ArmFailure,
    ArmStart,
    Artifacts,
    Event,
    ExecutionEnd,
    ExecutionStart,
    Points,
    Status,
)
from runners.tracking.records import LONGEST_VALUE, differences, flatten
from runners.tracking.tags import EXPERIMENT_KIND, child_tags, parent_tags, run_name
from yolact_bench.errors import first_line
from yolact_bench.results.files import atomic_path, is_temporary

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Metric

T = TypeVar("T")

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
_METRICS_A_BATCH = 500
_PARAMS_A_BATCH = 100  # MLflow's limit
_MOST_RUNS = 10_000  # of one execution
# A tracking server that is away may cost seconds a call, not the two minutes of the default.
# MLflow's usage reports, progress bars and start-up messages are off.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for --json
}

Recovery = Literal["retry", "skip", "restart"]


def store_uri(work_dir: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or the embedded store of the work directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{work_dir.resolve()}/mlflow.db"


def recovery(error: Exception) -> Recovery:
    """Return what helps after an error: trying later, going on, or writing all runs again.

    "skip": MLflow never accepts it, as for a run that was deleted in its user interface.
    "restart": the runs no longer exist.
    """
    code = getattr(error, "error_code", "")
    if code == "RESOURCE_DOES_NOT_EXIST":
        return "restart"
    return "skip" if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST") else "retry"


def _make_database(work_dir: Path) -> None:
    """Make MLflow's embedded database, whole or not at all.

    MLflow makes its tables one by one and their version last: a kill in between would leave a
    database that it never opens again. The first query of a client makes the tables.
    """
    from mlflow.tracking import MlflowClient

    path = work_dir.resolve() / "mlflow.db"
    if not path.exists():
        with atomic_path(path) as temporary:
            MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)


class Writer:
    """The MLflow client with the runs of one execution. Used by one thread.

    Runs are known by their tags (execution, arm, seed) and points by (metric, step). So an event
    may be repeated: after an answer that never came, or by another process.
    """

    def __init__(self, work_dir: Path) -> None:
        for key, value in _SETTINGS.items():
            os.environ.setdefault(key, value)
        from mlflow import entities
        from mlflow.tracking import MlflowClient

        own_store = not os.environ.get("MLFLOW_TRACKING_URI")
        if own_store:
            _make_database(work_dir)
        self.runs_made = self.points_sent = 0
        self._work_dir = work_dir
        self._entities = entities
        self._client = MlflowClient(tracking_uri=store_uri(work_dir))
        self._artifacts = work_dir.resolve() / "mlartifacts" if own_store else None
        self._started: ExecutionStart | None = None
        self._experiment = ""
        self._parent = ""
        self._children: dict[tuple[str, int], str] = {}
        self._results: dict[tuple[str, int], dict[str, float]] = {}
        self._ended: set[str] = set()
        self._points: dict[str, list[Metric]] = {}  # by run, not sent yet
        self._new: set[str] = set()  # runs made here whose every call was answered
        self._steps: dict[tuple[str, str], set[int]] = {}  # (run, metric) of the other runs
        self._flushed = time.monotonic()

    @property
    def waiting(self) -> bool:
        return bool(self._points)

    def apply(self, event: Event) -> None:
        match event:
            case ExecutionStart():
                self._start(event)
            case ArmStart():
                self._start_arm(event)
            case Points():
                self._add(event)
            case ArmFailure():
                self._fail(event)
            case Artifacts():
                self._copy(self._work_dir / event.folder)
            case ExecutionEnd():
                self._finish(event)

    def _copy(self, folder: Path) -> None:
        """Copy a folder to the parent run, without what a killed write has left in it."""
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not is_temporary(file):
                inside = file.parent.relative_to(folder).as_posix()
                place = None if inside == "." else inside
                self._call(self._client.log_artifact, self._parent, str(file), place)

    def forget_sent_points(self) -> None:
        """Look on the server before sending again: after an error, what was sent may be there."""
        self._new.clear()
        self._steps.clear()

    def flush(self, *, late_only: bool = False) -> None:
        """Send the points kept so far; keep those that could not be sent.

        With `late_only`, only if they have waited for `FLUSH_SECONDS` or are many.
        """
        late = time.monotonic() - self._flushed > FLUSH_SECONDS
        many = sum(map(len, self._points.values())) >= _METRICS_A_BATCH
        if late_only and not late and not many:
            return
        self._flushed = time.monotonic()
        for run in tuple(self._points):
            for batch in _batches(self._missing(run, self._points[run]), _METRICS_A_BATCH):
                self._call(self._client.log_batch, run, metrics=batch)
                self.points_sent += len(batch)
            del self._points[run]

    def _start(self, event: ExecutionStart) -> None:
        self._started = event
        self._experiment = self._experiment_id(event)
        runs = self._client.search_runs(
            [self._experiment],
            f"tags.execution = '{event.execution}'",
            run_view_type=self._entities.ViewType.ALL,
            max_results=_MOST_RUNS,
        )
        for run in runs:
            tags = run.data.tags
            if "arm" in tags:
                self._children[tags["arm"], int(tags["seed"])] = run.info.run_id
            else:
                self._parent = run.info.run_id
        self._parent = self._parent or self._create(event, parent_tags(event))
        if event.spec_text:
            self._call(self._client.log_text, self._parent, event.spec_text, "spec.yaml")

    def _start_arm(self, event: ArmStart) -> None:
        assert self._started is not None, "an execution begins with its start"
        child = self._children.get((event.arm, event.seed))
        if child is None:
            child = self._create(event, child_tags(self._started, event, parent=self._parent))
            self._children[event.arm, event.seed] = child
        params = [self._entities.Param(name, value) for name, value in flatten(event.run)]
        for batch in _batches(params, _PARAMS_A_BATCH):
            self._call(self._client.log_batch, child, params=batch)
        if event.run:
            # Through JSON, as YAML would tag tuples with Python's type.
            text = yaml.safe_dump(json.loads(json.dumps(event.run)), sort_keys=False)
            self._call(self._client.log_text, child, text, "run.yaml")

    def _add(self, event: Points) -> None:
        child = self._children[event.arm, event.seed]
        self._tag(child, {**({"proxy": "true"} if event.proxy else {}), **event.tags})
        metric = self._entities.Metric
        self._points.setdefault(child, []).extend(
            metric(name, value, event.time_ms, event.step) for name, value in event.values.items()
        )
        if event.step == 0:  # of the records; curves begin at 1
            self._results.setdefault((event.arm, event.seed), {}).update(event.values)

    def _fail(self, event: ArmFailure) -> None:
        child = self._children[event.arm, event.seed]
        message = event.message[:LONGEST_VALUE]
        self._tag(child, {"failure": event.kind, "failure_message": message})
        self._call(self._client.log_text, child, event.traceback, "traceback.txt")
        self._end(child, "FAILED", event.time_ms)

    def _finish(self, event: ExecutionEnd) -> None:
        assert self._started is not None, "an execution begins with its start"
        deltas = differences(self._results, self._started.baseline)
        for (arm, seed), values in deltas.items():
            self._add(Points(time_ms=event.time_ms, arm=arm, seed=seed, step=0, values=values))
        for run in (*self._children.values(), self._parent):
            self._end(run, event.status, event.time_ms)

    def _end(self, run: str, status: Status, time_ms: int) -> None:
        self.flush()
        if run not in self._ended:
            self._call(self._client.set_terminated, run, status, time_ms)
            self._ended.add(run)

    def _create(self, event: ExecutionStart | ArmStart, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(
            self._experiment, start_time=event.time_ms, tags=dict(tags), run_name=run_name(event)
        )
        self.runs_made += 1
        self._new.add(run.info.run_id)
        return str(run.info.run_id)

    def _tag(self, run: str, tags: Mapping[str, str]) -> None:
        if tags:
            batch = [self._entities.RunTag(name, value) for name, value in tags.items()]
            self._call(self._client.log_batch, run, tags=batch)

    def _missing(self, run: str, points: Iterable["Metric"]) -> list["Metric"]:
        """Return the points whose step the run does not have yet, each once."""
        once = {(point.key, point.step): point for point in points}.values()
        if run in self._new:
            return list(once)
        for name in {point.key for point in once} - {key for of, key in self._steps if of == run}:
            history = self._client.get_metric_history(run, name)
            self._steps[run, name] = {point.step for point in history}
        return [point for point in once if point.step not in self._steps[run, point.key]]

    def _call(self, call: Callable[..., object], *arguments: object, **options: object) -> None:
        """Call MLflow; leave out what it will never accept, as retrying would not help."""
        try:
            call(*arguments, **options)
        except Exception as error:  # MLflow's class is not imported here
            if recovery(error) != "skip":
                raise
            log.warning("MLflow refuses a part of this execution: %s", first_line(error))

    def _experiment_id(self, event: ExecutionStart) -> str:
        known: Experiment | None = self._client.get_experiment_by_name(event.ablation)
        if known is None:
            location = (self._artifacts / event.ablation).as_uri() if self._artifacts else None
            tags = {"mlflow.note.content": event.question, **EXPERIMENT_KIND}
            return str(self._client.create_experiment(event.ablation, location, tags))
        if known.lifecycle_stage == "deleted":  # in the user interface
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)


def _batches(items: Sequence[T], size: int) -> list[list[T]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
