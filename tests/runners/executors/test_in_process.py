"""Jobs in this process: their order, their parts, and the end of a queued one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runners.arms.job import Job
from runners.executors import in_process
from runners.executors.in_process import InProcessExecutor
from runners.units.workplace import Workplace
from tests.support.fake_work import failure
from yolact_bench.results.record import Record


def job(folder: Path, training: str, *arms: str) -> Job:
    units = [cast(Any, SimpleNamespace(train_digest=training, arm=arm)) for arm in arms]
    return Job(units=units, place=Workplace(work_dir=folder, device="cpu", workers=0))


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> InProcessExecutor:
    def finish(job: Job, **_: object) -> Iterator[tuple[Record, ...]]:
        for unit in job.units:
            yield (replace(failure(), arm=unit.arm),)

    monkeypatch.setattr(in_process, "finish", finish)
    return InProcessExecutor()


def test_each_wait_finishes_one_unit_and_the_last_ends_its_job(
    tmp_path: Path, executor: InProcessExecutor
) -> None:
    """A kill between two units then loses the work of one."""
    executor.submit(job(tmp_path, "t1", "a", "b"))
    executor.submit(job(tmp_path, "t2", "c"))
    results = [executor.wait() for _ in range(4)]
    parts = [(r.job.key, r.over, [one.arm for one in r.records]) for r in results if r]
    assert parts == [("t1", False, ["a"]), ("t1", True, ["b"]), ("t2", True, ["c"])]
    assert results[3] is None


def test_a_queued_job_that_is_stopped_never_begins(
    tmp_path: Path, executor: InProcessExecutor
) -> None:
    executor.submit(job(tmp_path, "t1", "a"))
    executor.stop("t1")
    result = executor.wait()
    assert result is not None
    assert (result.stopped, result.over, result.records) == (True, True, ())
    assert executor.wait() is None
