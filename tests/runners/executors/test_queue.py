"""Jobs before and after their time in another process."""

from pathlib import Path

import pytest

from runners.arms.job import Job, JobResult
from runners.executors.queue import JobQueue
from runners.system.retry import RETRIES
from runners.workdir.stop_file import has_stop_request
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.results.record import Failure


@pytest.fixture
def job(tmp_path: Path) -> Job:
    at = context(tmp_path / "work")
    return Job(units=[plan_spec(write_spec(tmp_path), at).steps[0].unit], place=at.place)


def nothing_is_busy(_seconds: float) -> bool:
    return False


def test_a_job_whose_process_dies_again_and_again_is_a_failure(job: Job) -> None:
    """Each of the retries is queued; the death after the last of them is the end."""
    queue = JobQueue()
    assert all(queue.count_death(job, "the worker died") for _ in range(RETRIES))
    assert list(queue.waiting) == [job] * RETRIES
    assert not queue.count_death(job, "the worker died")
    (result,) = queue.ended
    (record,) = result.records
    assert isinstance(record, Failure)
    assert (record.phase, record.kind) == ("train", "worker_died")


def test_a_result_ends_the_count_of_deaths(job: Job) -> None:
    queue = JobQueue()
    for _ in range(RETRIES):
        queue.count_death(job, "the worker died")
    queue.end(JobResult(job=job))
    assert queue.count_death(job, "the worker died")


def test_a_waiting_job_stops_at_once_and_a_running_one_is_asked_to(job: Job) -> None:
    queue = JobQueue()
    queue.add(job)
    queue.stop(job.key, running=[])
    assert not queue.waiting
    assert queue.wait(None, nothing_is_busy) == JobResult(job=job, stopped=True)
    queue.stop(job.key, running=[job])
    assert has_stop_request(job.folder)
    queue.add(job)  # submitted again, it is to run
    assert not has_stop_request(job.folder)


def test_a_wait_ends_with_a_result_with_its_time_or_where_nothing_is_busy(job: Job) -> None:
    queue = JobQueue()
    looks: list[float] = []

    def is_busy(seconds: float) -> bool:
        looks.append(seconds)
        return True

    def ends(seconds: float) -> bool:
        queue.end(JobResult(job=job))
        return is_busy(seconds)

    assert queue.wait(None, nothing_is_busy) is None
    assert queue.wait(0.0, is_busy) is None
    assert looks == [0.0]
    assert queue.wait(None, ends) == JobResult(job=job)
    assert looks == [0.0, 1.0]  # without a limit it looks each second
