"""Worker processes of this machine: what they bring, how they die, and how they are ended."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.arms.finish import finish
from runners.arms.job import Job, JobResult
from runners.arms.train import ensure_trained
from runners.executors.local import LocalExecutor
from runners.planning.plan import Plan
from runners.tracking.events import Phase
from runners.units.workplace import Workplace
from tests.runners.training.test_kill_training import differences
from tests.support.no_tracker import NoTracker
from tests.support.small_ablation import SPEC, context, plan_spec, run_spec, write_spec
from tests.support.worker_processes import Killer, local, until, worker_of
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.record import Accuracy, Failure, Latency

LONG = SPEC.replace("iterations: 3", "iterations: 60").replace("[2]", "[40]")
ENDLESS = SPEC.replace("iterations: 3", "iterations: 100000")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums of two threads differ in the last digits from those of one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two() -> Iterator[LocalExecutor]:
    executor = local(2)
    yield executor
    executor.close()


class Recorder(NoTracker):
    """Keeps the events of arms; `drain` comes right before arms are timed."""

    def __init__(self, executor: LocalExecutor | None = None) -> None:
        super().__init__()
        self.executor = executor
        self.events: list[tuple[object, ...]] = []
        self.workers_at_timing: list[bool] = []

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        self.events.append((planned.arm, phase))

    def log_training(
        self, arm: str, seed: int, iteration: int, metrics: Mapping[str, float]
    ) -> None:
        self.events.append((arm, iteration, *sorted(_untimed(metrics).items()), *sorted(metrics)))

    def log_record(
        self, record: Accuracy | Latency | Failure, *, reference: Latency | None = None
    ) -> None:
        if isinstance(record, Accuracy):
            self.events.append((record.arm, record.mask, record.box))
        elif isinstance(record, Latency):
            self.events.append((record.arm, "latency"))

    def drain(self, timeout: float = 30.0) -> None:
        if self.executor is not None:
            self.workers_at_timing.append(any(self.executor._workers))


def _untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    timed = ("per_second", "/interval/")
    return {k: v for k, v in metrics.items() if not any(word in k for word in timed)}


def validating(at: AblationContext) -> AblationContext:
    return replace(at, place=replace(at.place, validate_every=2))


def lasting(result: object) -> object:
    assert isinstance(result, Accuracy), result
    return result.arm, result.train_digest, result.mask, result.box, result.iterations


def job_of(plan: Plan, place: Workplace, arm: str) -> Job:
    return Job(units=(next(s.unit for s in plan.steps if s.unit.arm == arm),), place=place)


def ended(executor: LocalExecutor, killer: Killer) -> JobResult:
    """Wait for a job while a killer looks at it."""
    give_up = time.monotonic() + 300
    while time.monotonic() < give_up:
        killer()
        if (done := executor.wait(0.02)) is not None:
            return done
    raise AssertionError("no job ends")


def test_a_worker_brings_what_this_process_brings(tmp_path: Path) -> None:
    """One training; `test_two_workers_…` runs a whole ablation."""
    plan = plan_spec(write_spec(tmp_path), context(tmp_path / "plan"))
    here, side = (context(tmp_path / name).place for name in ("here", "side"))
    alone = [record for records in finish(job_of(plan, here, "k_2")) for record in records]
    executor = local(1)
    try:
        executor.submit(job_of(plan, side, "k_2"))
        done = executor.wait(300.0)
        assert done is not None
    finally:
        executor.close()
    assert [lasting(r) for r in done.records] == [lasting(r) for r in alone]
    assert executor._workers == [None]


@pytest.mark.slow
def test_two_workers_bring_what_one_process_brings_and_are_gone_before_the_timing(
    tmp_path: Path, two: LocalExecutor
) -> None:
    """Records, curves, validations and phases; the times themselves are another session's."""
    spec, alone, recorder = write_spec(tmp_path), Recorder(), Recorder(two)
    here = validating(context(tmp_path / "here", tracker=alone))
    run_spec(spec, here)
    side = replace(
        validating(context(tmp_path / "side", tracker=recorder)),
        executor=two,
    )
    run_spec(spec, side)

    digests = [step.unit.run.detect_digest for step in plan_spec(spec, here).steps]
    results = [[lasting(at.store.accuracy(d)) for d in digests] for at in (here, side)]
    assert results[0] == results[1]
    assert sorted(alone.events, key=str) == sorted(recorder.events, key=str)
    assert any("val/mask_ap" in event for event in recorder.events)
    assert recorder.workers_at_timing == [False]
    for digest in digests:
        assert (side.place.work_dir / "resamples" / f"{digest}.npz").is_file()


def test_a_queued_job_that_is_stopped_never_begins(tmp_path: Path) -> None:
    """Without a slot all jobs are queued."""
    at = context(tmp_path / "work")
    executor = LocalExecutor([], device="cpu")
    executor.submit(job := job_of(plan_spec(write_spec(tmp_path), at), at.place, "k_4"))
    executor.stop(job.key)
    assert executor.wait(0) == JobResult(job=job, stopped=True)
    assert not job.folder.exists()
    executor.close()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_training_ends_with_the_same_bits(
    tmp_path: Path, two: LocalExecutor
) -> None:
    spec = write_spec(tmp_path, LONG)
    whole = context(tmp_path / "whole").place
    plan = plan_spec(spec, context(tmp_path / "plan"))
    place = replace(context(tmp_path / "killed").place, checkpoint_seconds=-1.0)
    job = job_of(plan, place, "k_2")
    ensure_trained(job.units[0], whole)

    killer = Killer(two, job.key, job.folder / "last.pt", kills=2)
    two.submit(job)
    done = ended(two, killer)
    assert len(killer.killed) == 2
    assert [type(result) for result in done.records] == [Accuracy]
    one, other = (torch.load(at.weights(job.units[0].run)) for at in (whole, place))
    assert differences(one["network"], other["network"]) == []
    assert one["facts"]["iterations"] == other["facts"]["iterations"] == 60


@pytest.mark.slow
def test_three_deaths_are_one_failure_and_the_other_arms_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = local(2)
    at = context(tmp_path / "work")
    at = replace(at, place=replace(at.place, checkpoint_seconds=-1.0), executor=executor)
    plan = plan_spec(write_spec(tmp_path, LONG), at)
    doomed = job_of(plan, at.place, "k_2")
    killer = Killer(executor, doomed.key, doomed.folder / "last.pt", kills=3)
    wait = executor.wait

    def wait_and_kill(timeout: float | None = None) -> JobResult | None:
        killer()
        return wait(0.02)

    monkeypatch.setattr(executor, "wait", wait_and_kill)
    run_ablation(plan, at, command="yolact-bench run small.yaml")
    digests = {step.unit.arm: step.unit.run.detect_digest for step in plan.steps}
    failures = at.store.failures(list(digests.values()))
    assert [(f.arm, f.phase, f.kind) for f in failures] == [("k_2", "train", "worker_died")]
    assert "died (SIGKILL), as in 2 earlier attempts" in failures[0].message
    assert "--retry-failed continues from the last checkpoint" in failures[0].message
    for arm in ("k_4", "sequential"):
        assert at.store.accuracy(digests[arm]) is not None
    assert at.store.accuracy(digests["k_2"]) is None


@pytest.mark.slow
def test_a_job_that_is_stopped_leaves_a_checkpoint_and_the_worker_takes_the_next(
    tmp_path: Path,
) -> None:
    place = context(tmp_path / "work").place
    endless = plan_spec(write_spec(tmp_path, ENDLESS), context(tmp_path / "plan"))
    (tmp_path / "short").mkdir()
    short = plan_spec(write_spec(tmp_path / "short"), context(tmp_path / "plan"))
    first, last = job_of(endless, place, "k_4"), job_of(short, place, "k_2")
    executor = local(1)
    try:
        for job in (first, last):
            executor.submit(job)
        assert executor.wait(0.0) is None
        until((first.folder / "log.jsonl").exists, seconds=120)
        before = worker_of(executor, first.key)
        executor.stop(first.key)
        done = executor.wait(60.0)
        assert done is not None
        assert (done.job.key, done.stopped, done.records) == (first.key, True, ())
        assert (first.folder / "last.pt").is_file()
        assert not (first.folder / "stop").exists()  # it can go on another time
        assert worker_of(executor, last.key) == before
        done = executor.wait(120.0)
        assert done is not None
        assert [type(result) for result in done.records] == [Accuracy]
    finally:
        executor.close()


@pytest.mark.slow
def test_an_arm_that_fails_is_recorded_and_its_worker_replaced(tmp_path: Path) -> None:
    """A learning rate that ends in no number; what it leaves on a device is not known."""
    text = LONG.replace("lr: 0.003", "lr: 1.0e+6").replace("warmup: 1", "warmup: 0")
    text = text.replace("{protonet.k: 4, schedule.lr: 0.001", "{protonet.k: 4, schedule.lr: 0.002")
    at = context(tmp_path / "work")
    plan = plan_spec(write_spec(tmp_path, text), at)
    executor = local(1)
    try:
        executor.submit(job_of(plan, at.place, "k_2"))
        failing = executor._workers[0]
        assert failing is not None
        done = executor.wait(120.0)
        assert done is not None
        (failure,) = done.records
        assert isinstance(failure, Failure)
        assert (failure.phase, failure.kind) == ("train", "non_finite_loss")
        assert executor._workers == [None]
        with pytest.raises(ProcessLookupError):
            os.kill(failing._process.pid, 0)
    finally:
        executor.close()
