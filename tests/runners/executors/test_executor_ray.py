"""Arms on the nodes of a real Ray cluster, all of them on this machine."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import pytest
import torch

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.arms.job import Job
from runners.executors.ray.executor import RayExecutor
from tests.support.ray_nodes import Cluster, cluster
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy, Failure

pytest.importorskip("ray", reason="Ray is not installed: pip install 'yolact-bench[ray]'")
pytestmark = pytest.mark.slow

LONG = SPEC.replace("iterations: 3,", "iterations: 60,").replace("steps: [2]", "steps: [40]")
ENDLESS = SPEC.replace("iterations: 3,", "iterations: 100000,")


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    """A cluster of one node."""
    with cluster() as made:
        yield made


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def executor_at(nodes: Cluster, at: AblationContext, **options: object) -> RayExecutor:
    return RayExecutor(
        address=nodes.address,
        work_dir=at.place.work_dir,
        **{"device": "cpu", **options},  # type: ignore[arg-type]
    )


def jobs_of(folder: Path, text: str, at: AblationContext) -> dict[str, Job]:
    """A job for each arm that trains, by name."""
    steps = plan_spec(write_spec(folder, text), at).steps
    units = [step.unit for step in steps if step.shares is None]
    return {unit.arm: Job(units=(unit,), place=at.place, intervals=False) for unit in units}


def until(holds: object, *, what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def kill_once_all_train(nodes: Cluster, place: int, folders: set[Path]) -> None:
    until(lambda: all((f / "last.pt").is_file() for f in folders), what="all have checkpoints")
    assert not any((folder / "final.pt").is_file() for folder in folders)
    nodes.kill(place)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def accuracies(at: AblationContext) -> dict[str, dict[str, object]]:
    """What every accuracy says, but for times, by arm."""
    timed = ("time", "train_seconds", "train_images_per_second")
    results = [asdict(record) for record in at.store.records() if isinstance(record, Accuracy)]
    return {str(r["arm"]): {k: v for k, v in r.items() if k not in timed} for r in results}


def test_a_node_lost_in_the_middle_of_a_training_changes_no_result(
    tmp_path: Path, one_thread: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Two trainings on two nodes of one CPU: that of the lost node continues on the other."""
    spec = write_spec(tmp_path, LONG)
    calm, lossy = context(tmp_path / "calm"), context(tmp_path / "lossy")
    with threads(1):
        run_ablation(plan_spec(spec, calm), calm, command="yolact-bench run small.yaml")

    lossy = replace(lossy, place=replace(lossy.place, checkpoint_seconds=0.5))
    plan = plan_spec(spec, lossy)
    folders = {lossy.place.checkpoint_folder(step.unit.run) for step in plan.steps}
    with cluster() as nodes:
        second = nodes.add()
        executor = executor_at(nodes, lossy)
        until(lambda: executor.slots == 2, what="the second node joins")
        killer = Thread(target=kill_once_all_train, args=(nodes, second, folders))
        killer.start()
        run_ablation(
            plan, replace(lossy, executor=executor), command="yolact-bench run --executor ray"
        )
        killer.join()

    assert "Continuing from the last checkpoint" in caplog.text
    assert len(accuracies(calm)) == 3
    assert accuracies(lossy) == accuracies(calm)
    assert not [record for record in lossy.store.records() if isinstance(record, Failure)]
    assert not list(lossy.place.work_dir.glob(".shared*"))


def test_one_job_stops_on_request_and_another_continues(
    tmp_path: Path, head: Cluster, one_thread: None
) -> None:
    at = context(tmp_path / "work")
    endless, short = jobs_of(tmp_path, ENDLESS, at)["k_4"], jobs_of(tmp_path, SPEC, at)["k_2"]
    executor = executor_at(head, at)
    try:
        executor.submit(endless)
        executor.submit(short)  # of one CPU there is none left for it
        until((endless.folder / "log.jsonl").is_file, what="it trains")
        assert executor.wait(0.1) is None
        executor.stop(endless.key)
        first, second = executor.wait(60), executor.wait(60)
    finally:
        executor.close()
    assert first is not None
    assert second is not None
    assert (first.job.key, first.stopped, first.records) == (endless.key, True, ())
    assert (endless.folder / "last.pt").is_file()
    assert second.job.key == short.key
    assert isinstance(second.records[0], Accuracy)


def test_closing_ends_a_training_with_a_checkpoint(
    tmp_path: Path, head: Cluster, one_thread: None
) -> None:
    at = context(tmp_path / "work")
    job = jobs_of(tmp_path, ENDLESS, at)["k_4"]
    executor = executor_at(head, at)
    executor.submit(job)
    until((job.folder / "log.jsonl").is_file, what="it trains")
    began = time.monotonic()
    executor.close()
    assert time.monotonic() - began < 30
    assert (job.folder / "last.pt").is_file()


def test_a_job_whose_worker_dies_every_time_is_one_failure_of_each_unit(
    tmp_path: Path, head: Cluster, one_thread: None
) -> None:
    """Three attempts, each ended by SIGKILL."""
    at = context(tmp_path / "work")
    job = jobs_of(tmp_path, ENDLESS, at)["k_4"]
    at = replace(at, place=replace(at.place, checkpoint_seconds=0.0))
    executor = executor_at(head, at)
    log = job.folder / "log.jsonl"
    try:
        executor.submit(job)
        for _ in range(3):
            until(lambda: log.is_file() and log.stat().st_size, what="it trains")
            log.unlink()
            head.kill_tasks(0)
            done = executor.wait(3)  # sends it again
        done = done or executor.wait(60)
    finally:
        executor.close()
    assert done is not None
    assert [(f.kind, f.phase) for f in done.records if isinstance(f, Failure)] == [
        ("worker_died", "train")
    ]


def test_a_node_that_sees_another_folder_is_named_before_anything_runs(
    tmp_path: Path, one_thread: None
) -> None:
    if os.geteuid():
        pytest.skip("only root can give a process another view of the disk")
    at = context(tmp_path / "work")
    at.place.work_dir.mkdir()
    hide = f'mount -t tmpfs none {at.place.work_dir} && exec "$@"'
    with cluster() as nodes:
        nodes.add(around=("unshare", "--mount", "sh", "-c", hide, "sh"))
        until(lambda: nodes.size() == 2, what="the second node joins")
        with pytest.raises(SpecError, match=r"node \S+ \(\S+\) does not see .*/work; put the work"):
            executor_at(nodes, at)
    assert not list(at.place.work_dir.iterdir())


def test_a_node_that_joins_later_and_sees_another_folder_gets_no_work(
    tmp_path: Path, one_thread: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The head node is busy, so that the other job goes to the new node first, and then back."""
    if os.geteuid():
        pytest.skip("only root can give a process another view of the disk")
    at = context(tmp_path / "work")
    jobs = jobs_of(tmp_path, LONG, at)
    hide = f'mount -t tmpfs none {at.place.work_dir} && exec "$@"'
    with cluster() as nodes:
        executor = executor_at(nodes, at)
        try:
            executor.submit(jobs["k_4"])
            executor.submit(jobs["k_2"])
            until((jobs["k_4"].folder / "log.jsonl").is_file, what="it trains")
            nodes.add(around=("unshare", "--mount", "sh", "-c", hide, "sh"))
            results = [executor.wait(120), executor.wait(120)]
        finally:
            executor.close()
    assert "It gets no further jobs" in caplog.text
    assert [type(done.records[0]) for done in results if done] == [Accuracy, Accuracy]


def test_more_devices_than_a_node_has_are_refused(
    tmp_path: Path, head: Cluster, one_thread: None
) -> None:
    at = context(tmp_path / "work")
    with pytest.raises(SpecError, match="needs 1 GPU of one node, and no node has that many"):
        executor_at(head, at, device="cuda")
    with pytest.raises(SpecError, match="needs 2 CPU of one node"):
        executor_at(head, at, devices=2)
