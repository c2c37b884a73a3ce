"""Jobs on the machines of a Ray cluster. The only file that imports Ray.

Ray places tasks and reports lost machines; it repeats nothing itself. The job of a lost machine
continues elsewhere from its checkpoint in the work directory, which all machines share.
"""

import logging
import shutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runners.arms.job import Job, JobResult
from runners.executors.queue import JobQueue
from runners.executors.ray.nodes import Nodes
from runners.executors.ray.shared_folder import Mark, put_mark
from runners.executors.ray.task import Answer, run_task
from yolact_bench.errors import SpecError, first_line

if TYPE_CHECKING:
    from ray import ObjectRef

log = logging.getLogger(__name__)

_PATIENCE = 120.0  # seconds for trainings to write their checkpoints when all is to end


class RayExecutor:
    """An `Executor` whose jobs are Ray tasks; nodes that join later take part."""

    in_process = False

    def __init__(
        self,
        *,
        address: str | None,
        work_dir: Path,
        device: str,
        devices: int = 1,
        slots: int | None = None,
    ) -> None:
        """Connect, and have every node show that it can take part.

        Raises:
            SpecError: no cluster, no node with enough devices, or one that cannot take part.
        """
        self._ray = _ray()
        self._device = device  # cpu or cuda
        on_gpu = device == "cuda"
        self._takes = {"num_gpus": devices, "num_cpus": 1} if on_gpu else {"num_cpus": devices}
        self._most = slots
        self._queue = JobQueue()
        self._tasks: dict[ObjectRef[Any], Job] = {}
        self._barred: set[str] = set()  # nodes that joined later and cannot take part
        self._mark: Mark | None = None
        self._nodes = Nodes(self._ray, kind="GPU" if on_gpu else "CPU", need=devices)
        self._nodes.connect(address)
        try:
            self._nodes.check_room()
            self._mark = put_mark(work_dir)
            self._nodes.check(self._mark)
        except BaseException:
            self.close()
            raise

    @property
    def slots(self) -> int:
        """How many jobs run side by side on the nodes that are there now."""
        return self._most or max(1, self._nodes.room(self._barred))

    def submit(self, job: Job) -> None:
        self._queue.add(job)
        self._assign()

    def wait(self, timeout: float | None = None) -> JobResult | None:
        return self._queue.wait(timeout, self._look)

    def stop(self, key: str) -> None:
        """Ask a job to end; one that has not begun ends when its turn comes."""
        self._queue.stop(key, self._tasks.values())

    def close(self) -> None:
        """End all tasks, a training with a checkpoint, and leave the cluster as it was."""
        if not self._ray.is_initialized():
            return
        self._queue.waiting.clear()
        try:
            for task in self._tasks:
                self._ray.cancel(task, force=False)  # as Ctrl-C there
            tasks = list(self._tasks)
            if tasks:
                self._ray.wait(tasks, num_returns=len(tasks), timeout=_PATIENCE)
        finally:
            self._tasks.clear()
            self._ray.shutdown()  # ends what still runs
            if self._mark is not None:
                shutil.rmtree(self._mark.folder, ignore_errors=True)

    def _assign(self) -> None:
        while self._queue.waiting and (self._most is None or len(self._tasks) < self._most):
            job = self._queue.waiting.popleft()
            there = job.portable().at(device=self._device)
            task = self._ray.remote(_on_node).options(
                max_retries=0,
                **self._takes,
                scheduling_strategy=self._nodes.all_but(self._barred),
            )
            self._tasks[task.remote(there, self._mark)] = job

    def _look(self, seconds: float) -> bool:
        if not self._tasks:
            return False
        ready, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        for task in ready:
            self._take(task, self._tasks.pop(task))
        self._assign()
        return True

    def _take(self, task: "ObjectRef[Any]", job: Job) -> None:
        """Take the answer of a task, or find its worker or its node lost."""
        errors = self._ray.exceptions
        try:
            answer: Answer = self._ray.get(task)
        except errors.RuntimeEnvSetupError as error:
            text = f"--executor ray: a node cannot run the code ({error}); install it there"
            raise SpecError(text) from error
        except errors.RayTaskError as error:  # an error outside of what a job records
            self._queue.fail(job, "train", error)
        except errors.RayError as error:
            if self._queue.count_death(job, first_line(error)):
                self._warn_without_room(job)
        else:
            self._handle(answer, job)

    def _handle(self, answer: Answer, job: Job) -> None:
        if answer.kind == "refused":
            log.error(
                "%s: node %s %s. It gets no further jobs.", job.title, answer.host, answer.why
            )
            self._barred.add(answer.node)
            self._requeue(job)
        elif answer.kind == "interrupted":  # its node is being taken away
            log.warning("%s: node %s ends. Continuing elsewhere.", job.title, answer.host)
            self._requeue(job)
        else:
            stopped = answer.kind == "stopped"
            self._queue.end(JobResult(job=job, records=answer.records, stopped=stopped))

    def _requeue(self, job: Job) -> None:
        self._queue.waiting.appendleft(job)
        self._warn_without_room(job)

    def _warn_without_room(self, job: Job) -> None:
        if not self._nodes.room(self._barred):
            log.warning("%s: no node left for it; waiting for one", job.title)


def _on_node(job: Job, mark: Mark) -> Answer:
    """The task: a process of a node begins here, in its main thread."""
    import ray

    return run_task(job, mark, node=ray.get_runtime_context().get_node_id())


def _ray() -> ModuleType:
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise SpecError(
            "--executor ray: Ray is not installed; pip install 'yolact-bench[ray]' on every node"
        ) from error
    return ray
