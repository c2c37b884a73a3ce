"""The flow through an executor: the jobs it submits, and what becomes of their results."""

from dataclasses import replace
from pathlib import Path

import pytest

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.arms import finish as engine
from runners.arms.finish import finish
from runners.arms.job import Job, JobResult
from runners.system.interrupt import TrainingStop
from runners.tracking.events import Status
from runners.units.unit import Unit
from tests.support.no_tracker import NoTracker
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.errors import ArmError

ensure_trained = engine.ensure_trained  # as it is before a test breaks it

# `again` needs the same detections as `k_4`.
TWINS = SPEC.replace("baseline:", "measure: [accuracy]\nbaseline:") + (
    "  again: {protonet.k: 4, schedule.lr: 0.001}\n"
)


class OneByOne:
    """An executor that carries out a job when it is waited for, last come, first served."""

    in_process, slots = False, 2

    def __init__(self, *, stopping: bool = False) -> None:
        self.jobs: list[Job] = []
        self.submitted: list[tuple[str, ...]] = []
        self.closed = False
        self._stopping = stopping

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.submitted.append(tuple(unit.arm for unit in job.units))

    def wait(self, timeout: float | None = None) -> JobResult | None:
        job = self.jobs.pop()
        if self._stopping:
            return JobResult(job=job, stopped=True)
        records = [record for unit in finish(job) for record in unit]
        return JobResult(job=job, records=tuple(records))

    def stop(self, key: str) -> None:
        raise AssertionError

    def close(self) -> None:
        self.closed = True


class Ending(NoTracker):
    status = ""

    def finish(self, status: Status) -> None:
        self.status = status


def run_with(folder: Path, executor: OneByOne, at: AblationContext) -> dict[str, str]:
    """Run the ablation; return detect digests by arm."""
    at = replace(at, executor=executor)
    plan = plan_spec(write_spec(folder, TWINS), at)
    run_ablation(plan, at, command="yolact-bench run small.yaml")
    return {step.unit.arm: step.unit.run.detect_digest for step in plan.steps}


def test_units_of_one_training_are_one_job_and_none_is_submitted_twice(tmp_path: Path) -> None:
    at = context(tmp_path / "work")
    first, second = OneByOne(), OneByOne()
    digests = run_with(tmp_path, first, at)
    assert first.submitted == [("k_4", "sequential"), ("k_2",)]
    assert first.closed
    assert all(at.store.accuracy(digest) for digest in digests.values())
    run_with(tmp_path, second, at)
    assert second.submitted == []


def test_a_failed_training_is_tried_again_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = context(tmp_path / "work")
    with monkeypatch.context() as patched:
        patched.setattr(engine, "ensure_trained", _failing)
        digests = run_with(tmp_path, OneByOne(), at)
    failed = {f.arm for f in at.store.failures(list(digests.values()))}
    assert failed == {"k_4", "sequential"}
    assert at.store.accuracy(digests["k_2"]) is not None
    run_with(tmp_path, again := OneByOne(), at)
    assert again.submitted == []
    run_with(tmp_path, retried := OneByOne(), context(tmp_path / "work", retry_failed=True))
    assert retried.submitted == [("k_4", "sequential")]
    assert context(tmp_path / "work").store.accuracy(digests["again"]) is not None


def test_a_twin_of_a_unit_whose_training_failed_does_not_train_in_the_coordinator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when failures are retried: here the last attempt is a moment old."""
    monkeypatch.setattr(engine, "ensure_trained", _failing)
    at = context(tmp_path / "work", retry_failed=True)
    run_with(tmp_path, OneByOne(), at)
    assert not at.place.checkpoint_folder(_unit(tmp_path, at, "again").run).exists()


def test_a_unit_whose_twin_left_no_record_is_one_clear_error(tmp_path: Path) -> None:
    """No executor ends a job without records; one that did must not end in an IndexError."""
    executor = OneByOne()
    executor.wait = lambda timeout=None: JobResult(job=executor.jobs.pop())  # type: ignore[method-assign]
    with pytest.raises(ArmError, match="again: its job ended with neither"):
        run_with(tmp_path, executor, context(tmp_path / "work"))


def test_a_job_stopped_from_elsewhere_ends_the_command_as_ctrl_c_does(tmp_path: Path) -> None:
    executor, ending = OneByOne(stopping=True), Ending()
    with pytest.raises(TrainingStop):
        run_with(tmp_path, executor, context(tmp_path / "work", tracker=ending))
    assert executor.closed
    assert ending.status == "KILLED"


def _failing(unit: Unit, *arguments: object, **options: object) -> object:
    if unit.arm == "k_2":
        return ensure_trained(unit, *arguments, **options)  # type: ignore[arg-type]
    raise ArmError("non_finite_loss", "the box loss is not finite")


def _unit(folder: Path, at: AblationContext, arm: str) -> Unit:
    plan = plan_spec(write_spec(folder, TWINS), at)
    return next(step.unit for step in plan.steps if step.unit.arm == arm)
