"""Arms side by side in worker processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_ablation import SPEC, bench, planned, write_spec

from runners.ablation import run_ablation
from runners.bench import Bench
from runners.executors import Placement, executor_of, slot_environments
from runners.executors.local import LocalExecutor
from runners.jobs import Done, Job
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy, Failure

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
LONG = SPEC.replace("iterations: 3,", "iterations: 100000,")


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor([ENVIRONMENT, ENVIRONMENT], device="cpu")
    yield made
    made.close()


def jobs_of(folder: Path, text: str, at: Bench) -> dict[str, Job]:
    """A job for each arm that trains, by name."""
    steps = planned(write_spec(folder, text), at).steps
    units = [step.unit for step in steps if step.shares is None]
    return {unit.arm: Job(units=(unit,), place=at.place, intervals=False) for unit in units}


def until_it_trains(job: Job, after: int = 0) -> None:
    deadline = time.monotonic() + 60
    log = job.folder / "log.jsonl"
    while not log.is_file() or _last_iteration(log) <= after:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _last_iteration(log: Path) -> int:
    lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return json.loads(lines[-1])["iteration"] if lines else 0


def workers_of(parent: int) -> list[int]:
    """Process ids of the workers that a process has started."""
    found = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", "runners.executors.worker"],
        check=False,
        capture_output=True,
        text=True,
    )
    return [int(line) for line in found.stdout.split()]


def scores(at: Bench) -> dict[str, tuple[float | None, ...]]:
    found = [record for record in at.store.records() if isinstance(record, Accuracy)]
    return {r.arm: (*r.box.ap_by_iou, *r.mask.ap_by_iou, r.box.ar_100) for r in found}


def test_two_slots_give_what_one_process_gives(tmp_path: Path, executor: LocalExecutor) -> None:
    spec = write_spec(tmp_path)
    alone, beside = bench(tmp_path / "alone"), bench(tmp_path / "beside")
    beside = replace(beside, executor=executor)

    for at in (alone, beside):
        run_ablation(planned(spec, at), at, command="yolact-bench run small.yaml")

    assert len(scores(alone)) == 3
    assert scores(beside) == scores(alone)
    timed = [record.arm for record in beside.store.records() if hasattr(record, "session")]
    assert sorted(timed) == ["k_2", "k_4", "sequential"]
    assert executor._workers == [None, None]  # gone before the timing


def test_a_stop_ends_a_training_with_a_checkpoint(tmp_path: Path, executor: LocalExecutor) -> None:
    job = jobs_of(tmp_path, LONG, bench(tmp_path / "work"))["k_4"]
    executor.submit(job)
    until_it_trains(job)

    executor.stop(job.key)

    assert executor.wait(60) == Done(job=job, results=(), stopped=True)
    assert (job.folder / "last.pt").is_file()
    assert not (job.folder / "stop").exists()


def test_a_queued_job_that_is_stopped_never_begins(tmp_path: Path) -> None:
    executor = LocalExecutor([], device="cpu")
    job = jobs_of(tmp_path, LONG, bench(tmp_path / "work"))["k_4"]
    executor.submit(job)

    executor.stop(job.key)

    assert executor.wait(0) == Done(job=job, results=(), stopped=True)
    assert not job.folder.exists()
    executor.close()


@pytest.mark.slow
def test_a_killed_worker_goes_on_from_its_checkpoint_and_ends_the_same(
    tmp_path: Path, executor: LocalExecutor
) -> None:
    text = SPEC.replace("iterations: 3,", "iterations: 60,")
    alone, beside = bench(tmp_path / "alone"), bench(tmp_path / "beside")
    beside = replace(beside, place=replace(beside.place, checkpoint_seconds=0.0))
    job = jobs_of(tmp_path, text, beside)["k_4"]
    executor.submit(job)
    until_it_trains(job, after=10)

    os.kill(workers_of(os.getpid())[0], signal.SIGKILL)
    done = executor.wait(120)

    undisturbed = jobs_of(tmp_path, text, alone)["k_4"]
    executor.submit(undisturbed)
    expected = executor.wait(120)
    assert done is not None
    assert expected is not None
    (found,), (wanted,) = done.results, expected.results
    assert isinstance(found, Accuracy)
    assert isinstance(wanted, Accuracy)
    assert (found.box, found.mask) == (wanted.box, wanted.mask)


@pytest.mark.slow
def test_a_worker_that_dies_three_times_is_one_failure_and_the_other_arm_goes_on(
    tmp_path: Path, executor: LocalExecutor
) -> None:
    at = bench(tmp_path / "work")
    dying = jobs_of(tmp_path, LONG, at)["k_4"]
    dying = dying.at(checkpoint_seconds=0.0)
    other = jobs_of(tmp_path, SPEC, at)["k_2"]
    executor.submit(dying)
    for _ in range(3):
        (worker,) = _alive_workers(executor, dying)
        until_it_trains(dying, after=_last(dying))
        os.kill(worker, signal.SIGKILL)
        ended = executor.wait(5)
    assert ended is not None
    (failure,) = ended.results
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.phase) == ("worker_died", "train")
    assert "SIGKILL" in failure.message

    executor.submit(other)
    done = executor.wait(60)

    assert done is not None
    assert isinstance(done.results[0], Accuracy)


def _last(job: Job) -> int:
    log = job.folder / "log.jsonl"
    return _last_iteration(log) if log.is_file() else 0


def _alive_workers(executor: LocalExecutor, job: Job) -> list[int]:
    return [w._process.pid for w in executor._workers if w and w.job and w.job.key == job.key]


@pytest.mark.slow
def test_workers_end_with_a_checkpoint_when_the_coordinator_is_killed(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, LONG)
    words = ["run", str(spec), "--slots", "2", "--workers", "0", "--work-dir", str(tmp_path / "w")]
    program = "from runners.cli import main; main()"
    coordinator = subprocess.Popen([sys.executable, "-c", program, *words])
    try:
        deadline = time.monotonic() + 60
        logs: list[Path] = []
        while len(logs) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            logs = [p for p in (tmp_path / "w").glob("checkpoints/*/log.jsonl") if p.stat().st_size]
        workers = workers_of(coordinator.pid)
        assert len(workers) == 2
    finally:
        coordinator.kill()
        coordinator.wait()

    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlives its coordinator"
        time.sleep(0.1)
    assert len(list((tmp_path / "w").glob("checkpoints/*/last.pt"))) == 2


def test_slots_share_out_the_threads_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 16)

    found = slot_environments(Placement(slots=4), device="cpu", chosen=False)

    assert [one["OMP_NUM_THREADS"] for one in found] == ["4"] * 4


@pytest.mark.parametrize(
    ("asked", "visible", "expected"),
    [
        (Placement(), None, ["0", "1", "2", "3"]),
        (Placement(devices=2), None, ["0,1", "2,3"]),
        (Placement(slots=1), None, ["0"]),
        (Placement(), "4,5,6,7", ["4", "5", "6", "7"]),  # those that a scheduler has given us
    ],
)
def test_every_slot_has_cuda_devices_of_its_own(
    asked: Placement, visible: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    found = slot_environments(asked, device="cuda", chosen=False, num_cuda=4)

    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == expected


def test_a_device_that_was_named_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    found = slot_environments(Placement(), device="cuda:2", chosen=True, num_cuda=4)

    assert found == [{"CUDA_VISIBLE_DEVICES": "2"}]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Placement(executor="lokal"), "did you mean 'local'"),
        (Placement(slots=0), "--slots 0"),
        (Placement(executor="here", slots=2), "one arm at a time"),
        (Placement(address="10.0.0.1:6379"), "--executor ray"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    asked: Placement, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=words):
        executor_of(asked, work_dir=tmp_path, device="cpu", chosen=False)


def test_more_slots_than_devices_are_refused() -> None:
    with pytest.raises(SpecError, match="there are 4"):
        slot_environments(Placement(slots=3, devices=2), device="cuda", chosen=False, num_cuda=4)
