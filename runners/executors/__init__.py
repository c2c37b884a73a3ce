"""Where jobs run: in this process, in worker processes of this machine, or on a Ray cluster.

Public: `Executor`, `make_executor`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch

from runners.arms.job import Job, JobResult
from yolact_bench.errors import SpecError, hint

EXECUTORS = ("here", "local", "ray")


class Executor(Protocol):
    """Where jobs run. One coordinator uses it, from one thread.

    Workers never write records or to MLflow: results come back to the coordinator. A worker or a
    node that dies is replaced and its job continues from its checkpoint, twice; then the job ends
    with a failure of kind `worker_died`.
    """

    @property
    def in_process(self) -> bool:
        """Whether jobs run in this process, which has their curves without following a log."""

    @property
    def slots(self) -> int:
        """How many jobs run side by side; more are queued."""

    def submit(self, job: Job) -> None:
        """Run a job when there is room. No two of the same key at a time."""

    def wait(self, timeout: float | None = None) -> JobResult | None:
        """Return the next result; None if there is none within `timeout` seconds."""

    def stop(self, key: str) -> None:
        """Ask a job to end: its training stops after the current iteration. `wait` returns it."""

    def close(self) -> None:
        """End all workers; a training continues from its checkpoint another time."""


def make_executor(
    name: str | None = None,
    *,
    slots: int | None = None,
    devices: int = 1,
    address: str | None = None,
    work_dir: Path,
    device: str,
    alone: bool,
    workers: bool = False,
) -> Executor | None:
    """Return the executor of other processes; None: jobs run in this one, one after the other.

    Without a name it is `local` where there is more than one slot. There are `slots` arms side by
    side, by default one for each device or set of `devices`, which each arm takes; `address` is
    that of a Ray cluster. `alone` says that the user has named the device, and so wants that one
    alone. With `workers` the result is never None.

    Raises:
        SpecError: the executor, the devices or the cluster do not exist.
    """
    if name is not None and name not in EXECUTORS:
        raise SpecError(f"--executor {name}: no such executor{hint(name, EXECUTORS)}")
    if name == "here" and (slots or 1) > 1:
        raise SpecError("--executor here runs one arm at a time; omit --slots or --executor")
    kind = torch.device(device).type
    if name == "ray":
        from runners.executors.ray.executor import RayExecutor

        return RayExecutor(
            address=address, devices=devices, slots=slots, work_dir=work_dir, device=kind
        )
    environments = slot_environments(slots, devices, device=device, alone=alone)
    single = name is None and len(environments) == 1
    if not workers and (single or name == "here"):
        return None
    from runners.executors.local import LocalExecutor

    return LocalExecutor(environments, device=kind)


def slot_environments(
    slots: int | None, devices: int = 1, *, device: str, alone: bool, num_cuda: int | None = None
) -> list[Mapping[str, str]]:
    """Return the variables that differ between the slots' workers: their devices, or threads.

    Raises:
        SpecError: the machine has too few devices.
    """
    if torch.device(device).type != "cuda":
        slots = slots or 1
        threads = max(1, torch.get_num_threads() // slots)
        return [{"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}] * slots
    count = torch.cuda.device_count() if num_cuda is None else num_cuda
    named = os.environ.get("CUDA_VISIBLE_DEVICES")  # how a child process gets a device of this one
    names = named.split(",") if named else map(str, range(count))
    visible = [name.strip() for name in names][:count]
    if alone and torch.device(device).index is not None:
        visible = visible[torch.device(device).index :][:devices]
    room = len(visible) // devices
    if slots is None:
        slots = 1 if alone else max(room, 1)
    if slots > room:
        raise SpecError(
            f"--slots {slots} of --devices {devices} each need "
            f"{slots * devices} CUDA devices; there are {len(visible)}"
        )
    groups = [visible[i * devices : (i + 1) * devices] for i in range(slots)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups]
