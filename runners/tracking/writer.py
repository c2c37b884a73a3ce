"""Events become runs in MLflow. An event that comes again adds only what the store lacks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
from runners.tracking.point_buffer import PointBuffer, batches
from runners.tracking.records import LONGEST_VALUE, differences, flatten
from runners.tracking.server import connect, is_embedded, send
from runners.tracking.tags import EXPERIMENT_KIND, child_tags, parent_tags, run_name
from yolact_bench.results.files import is_temporary
from yolact_bench.yaml_text import dump_yaml

if TYPE_CHECKING:
    from mlflow.entities import Experiment

_PARAMS_A_BATCH = 100  # MLflow's limit
_MOST_RUNS = 10_000  # of one execution


class Writer:
    """The MLflow client with the runs of one execution. Used by one thread.

    Runs are known by their tags (execution, arm, seed) and points by (metric, step). So an event
    may be repeated: after an answer that never came, or by another process.
    """

    def __init__(self, work_dir: Path) -> None:
        self._client = connect(work_dir)
        from mlflow import entities

        self.points = PointBuffer(self._client)
        self.runs_made = 0
        self._work_dir = work_dir
        self._entities = entities
        self._artifacts = work_dir.resolve() / "mlartifacts" if is_embedded() else None
        self._started: ExecutionStart | None = None
        self._experiment = ""
        self._parent = ""
        self._children: dict[tuple[str, int], str] = {}
        self._results: dict[tuple[str, int], dict[str, float]] = {}
        self._ended: set[str] = set()

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
                send(self._client.log_artifact, self._parent, str(file), place)

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
            send(self._client.log_text, self._parent, event.spec_text, "spec.yaml")

    def _start_arm(self, event: ArmStart) -> None:
        assert self._started is not None, "an execution begins with its start"
        child = self._children.get((event.arm, event.seed))
        if child is None:
            child = self._create(event, child_tags(self._started, event, parent=self._parent))
            self._children[event.arm, event.seed] = child
        params = [self._entities.Param(name, value) for name, value in flatten(event.run)]
        for batch in batches(params, _PARAMS_A_BATCH):
            send(self._client.log_batch, child, params=batch)
        if event.run:
            # Through JSON, as YAML would tag tuples with Python's type.
            text = dump_yaml(json.loads(json.dumps(event.run)))
            send(self._client.log_text, child, text, "run.yaml")

    def _add(self, event: Points) -> None:
        child = self._children[event.arm, event.seed]
        self._tag(child, {**({"proxy": "true"} if event.proxy else {}), **event.tags})
        metric = self._entities.Metric
        self.points.add(
            child,
            (
                metric(name, value, event.time_ms, event.step)
                for name, value in event.values.items()
            ),
        )
        if event.step == 0:  # of the records; curves begin at 1
            self._results.setdefault((event.arm, event.seed), {}).update(event.values)

    def _fail(self, event: ArmFailure) -> None:
        child = self._children[event.arm, event.seed]
        message = event.message[:LONGEST_VALUE]
        self._tag(child, {"failure": event.kind, "failure_message": message})
        send(self._client.log_text, child, event.traceback, "traceback.txt")
        self._end(child, "FAILED", event.time_ms)

    def _finish(self, event: ExecutionEnd) -> None:
        assert self._started is not None, "an execution begins with its start"
        deltas = differences(self._results, self._started.baseline)
        for (arm, seed), values in deltas.items():
            self._add(Points(time_ms=event.time_ms, arm=arm, seed=seed, step=0, values=values))
        for run in (*self._children.values(), self._parent):
            self._end(run, event.status, event.time_ms)

    def _end(self, run: str, status: Status, time_ms: int) -> None:
        self.points.flush()
        if run not in self._ended:
            send(self._client.set_terminated, run, status, time_ms)
            self._ended.add(run)

    def _create(self, event: ExecutionStart | ArmStart, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(
            self._experiment, start_time=event.time_ms, tags=dict(tags), run_name=run_name(event)
        )
        self.runs_made += 1
        self.points.note_new(run.info.run_id)
        return str(run.info.run_id)

    def _tag(self, run: str, tags: Mapping[str, str]) -> None:
        if tags:
            batch = [self._entities.RunTag(name, value) for name, value in tags.items()]
            send(self._client.log_batch, run, tags=batch)

    def _experiment_id(self, event: ExecutionStart) -> str:
        known: Experiment | None = self._client.get_experiment_by_name(event.ablation)
        if known is None:
            location = (self._artifacts / event.ablation).as_uri() if self._artifacts else None
            tags = {"mlflow.note.content": event.question, **EXPERIMENT_KIND}
            return str(self._client.create_experiment(event.ablation, location, tags))
        if known.lifecycle_stage == "deleted":  # in the user interface
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)
