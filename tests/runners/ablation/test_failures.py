"""What happens to an arm that fails, and to the others."""

import errno
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reports.pages.build import read
from runners.arms.failure import failure_kind
from runners.arms.train import ensure_trained
from runners.system import retry
from runners.system.retry import retry_dead_workers
from runners.training import checkpoint
from tests.runners.training.test_training import weights
from tests.support.small_ablation import context, plan_spec, run_spec, write_spec
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError
from yolact_bench.results.files import atomic_path, out_of_space
from yolact_bench.results.record import Accuracy, Failure, Latency
from yolact_bench.results.store import Store

LONGER = {"schedule.iterations": 4, "schedule.steps": [3]}


def failures(work: Path) -> list[tuple[str, str, str]]:
    records = Store(work / "results.jsonl").records()
    return [(f.arm, f.phase, f.kind) for f in records if isinstance(f, Failure)]


def kill_workers() -> None:
    """SIGKILL, from outside as the system's out-of-memory killer does."""
    workers = multiprocessing.active_children()
    assert workers
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        # Until it is dead, but not reaped: PyTorch itself must find it.
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)


def test_a_training_whose_worker_is_killed_goes_on_and_ends_bit_for_bit_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = plan_spec(write_spec(tmp_path), context(tmp_path / "a")).steps[0]
    unit = replace(step.unit, run=step.unit.run.changed(LONGER))
    alone = context(tmp_path / "a").place
    ensure_trained(unit, alone)

    killed = replace(context(tmp_path / "b").place, workers=1, checkpoint_seconds=-1.0)
    save, saved = checkpoint.save_training, []

    def save_then_kill(path: Path, **state: object) -> None:
        save(path, **state)  # type: ignore[arg-type]
        saved.append(state["iteration"])
        if len(saved) <= 2:  # two retries are what there is
            kill_workers()

    monkeypatch.setattr("runners.training.loop.save_training", save_then_kill)
    ensure_trained(unit, killed)
    assert saved == [1, 2, 3]  # nothing trained twice: each death came after a checkpoint
    one, other = weights(alone.weights(unit.run)), weights(killed.weights(unit.run))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_worker_that_dies_every_time_makes_a_failure_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third death of k_4 is its last; `sequential` shares the training and its failure."""
    at = context(tmp_path)
    at = replace(at, place=replace(at.place, workers=1, checkpoint_seconds=-1.0))
    save, deaths = checkpoint.save_training, []

    def kill_then_save(path: Path, **state: object) -> None:
        if planned_first in str(path):
            deaths.append(state["iteration"])
            kill_workers()
        save(path, **state)  # type: ignore[arg-type]

    spec = write_spec(tmp_path)
    planned_first = plan_spec(spec, at).steps[0].unit.run.train_digest
    monkeypatch.setattr("runners.training.loop.save_training", kill_then_save)
    run_spec(spec, at)
    assert deaths == [1, 1, 1]
    assert failures(tmp_path) == [
        ("k_4", "train", "worker_died"),
        ("sequential", "train", "worker_died"),
    ]
    records = at.store.records()
    assert "This was attempt 3" in next(r for r in records if isinstance(r, Failure)).message
    assert [r.arm for r in records if isinstance(r, Accuracy)] == ["k_2"]


def test_only_dead_workers_are_worth_another_attempt() -> None:
    attempts = []

    def fail(message: str) -> None:
        attempts.append(message)
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="shape"):
        retry_dead_workers(lambda: fail("a shape does not fit"), title="t")
    assert len(attempts) == 1
    with pytest.raises(ArmError, match="attempt 3") as dead:
        retry_dead_workers(
            lambda: fail("DataLoader worker (pid(s) 7) exited unexpectedly"), title="t"
        )
    assert (dead.value.kind, len(attempts)) == ("worker_died", 1 + 1 + retry.RETRIES)


def test_a_lack_of_memory_is_known_whatever_it_is_called() -> None:
    """The second is what PyTorch really says of 2^60 bytes on a CPU: no type of its own."""
    assert failure_kind(torch.OutOfMemoryError("CUDA out of memory")) == "out_of_memory"
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert failure_kind(refused.value) == "out_of_memory"
    with pytest.raises(MemoryError) as exhausted:
        np.empty(1 << 60, np.uint8)
    assert failure_kind(exhausted.value) == "out_of_memory"
    assert failure_kind(ValueError("anything else")) == "error"


def test_a_checkpoint_on_a_full_disk_is_known_as_such() -> None:
    """/dev/full refuses every write as a full disk does."""
    with pytest.raises((OSError, RuntimeError)) as refused, Path("/dev/full").open("wb") as file:
        torch.save({"weights": torch.zeros(100_000)}, file)
    assert out_of_space(refused.value)
    assert failure_kind(refused.value) == "disk_full"
    assert not out_of_space(PermissionError(errno.EACCES, "no"))


def test_a_full_disk_fails_the_arm_with_the_path_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(state: object, file: object) -> None:
        file.write(b"half of it")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    trainings = []
    opened = checkpoint.save_final
    monkeypatch.setattr("runners.training.checkpoint.torch.save", fill)
    monkeypatch.setattr(
        "runners.training.run.save_final",
        lambda path, **k: (trainings.append(path), opened(path, **k)),
    )
    run_spec(write_spec(tmp_path), context(tmp_path))
    assert failures(tmp_path) == [
        (arm, "train", "disk_full") for arm in ("k_4", "sequential", "k_2")
    ]
    messages = [r.message for r in context(tmp_path).store.failures()]
    assert "final.pt: no space is left" in messages[0]
    assert "--retry-failed" in messages[0]
    assert "shared with k_4" in messages[1]
    assert len(trainings) == 2  # that of k_4 was not tried again for `sequential`
    left = {path.name for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()}
    assert left == {"run.yaml", "log.jsonl", ".lock"}


def test_a_record_that_finds_no_room_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.fake_work import failure

    store = Store(tmp_path / "results.jsonl")
    store.add(failure())
    before, write = store.path.read_bytes(), os.write

    def torn(descriptor: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:-10])

    monkeypatch.setattr(os, "write", torn)
    with pytest.raises(ArmError, match=r"results\.jsonl: no space is left"):
        store.add(failure(seed=1))
    assert store.path.read_bytes() == before


def test_a_file_that_finds_no_room_names_itself(tmp_path: Path) -> None:
    with (
        pytest.raises(ArmError, match=r"a\.json: no space") as full,
        atomic_path(tmp_path / "a.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert full.value.kind == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_an_arm_that_cannot_be_timed_does_not_take_the_times_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, at = write_spec(tmp_path), context(tmp_path / "work")
    find = Detector.find
    scarce = True

    def out_of_memory(self: Detector, images: object, *clock: object) -> object:
        is_timed = bool(clock)  # the evaluation gives none
        if is_timed and scarce and self.run.protonet["k"] == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return find(self, images, *clock)  # type: ignore[arg-type]

    monkeypatch.setattr(Detector, "find", out_of_memory)
    run_spec(spec, at)
    assert failures(tmp_path / "work") == [("k_2", "latency", "out_of_memory")]
    timed = [r for r in at.store.records() if isinstance(r, Latency)]
    assert [r.arm for r in timed] == ["k_4", "sequential"]
    missing = {row.arm: row.missing for row in read(tmp_path / "work", "small").rows}
    assert missing["k_2"] == ("latency failed (out_of_memory): CUDA out of memory",)
    assert plan_spec(spec, at).timed

    size = at.store.path.stat().st_size
    run_spec(spec, at)  # nothing is left to do
    assert at.store.path.stat().st_size == size
    scarce = False
    run_spec(spec, replace(at, retry_failed=True))
    assert at.store.failures() == ()
    again = [r for r in at.store.records() if isinstance(r, Latency)][2:]
    assert [r.arm for r in again] == ["k_4", "k_2", "sequential"]
    assert len({r.session for r in again}) == 1


def test_a_shared_pass_that_breaks_costs_no_arm_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be one arm's detection that broke it: each is then evaluated alone."""

    def broken(*_: object) -> None:
        raise IndexError("out of range")

    monkeypatch.setattr("runners.arms.finish.predict_together", broken)
    monkeypatch.setattr("runners.ablation.flow.time_arms", lambda *_: None)
    run_spec(write_spec(tmp_path), context(tmp_path / "work"))
    records = context(tmp_path / "work").store.records()
    # k_2 and, once k_4 is done, sequential share their pass with none: the error is theirs.
    assert [r.arm for r in records if isinstance(r, Accuracy)] == ["k_4"]
    assert failures(tmp_path / "work") == [
        ("sequential", "evaluate", "error"),
        ("k_2", "evaluate", "error"),
    ]
