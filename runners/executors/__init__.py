"""Where jobs run: in this process, in worker processes of this machine, or on a Ray cluster.

Public: `Executor`, `ExecutorRequest`, `make_executor`, `make_workers`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from runners.arms.job import Job, JobResult
from yolact_bench.errors import SpecError, hint


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorRequest:
    """What a command says of where its jobs run."""

    name: str | None = None  # an entry of `EXECUTORS`; None: local for several slots
    slots: int | None = None  # arms side by side; None: one for each group of devices
    devices: int = 1  # of each arm
    address: str | None = None  # of a Ray cluster
    work_dir: Path
    device: str
    named: str | None = None  # the device that the user named, and so wants alone


def make_executor(request: ExecutorRequest) -> Executor | None:
    """Return the executor of other processes; None: jobs run in this one, one after the other.

    Raises:
        SpecError: the executor, the devices or the cluster do not exist.
    """
    if request.name is not None:
        if request.name not in EXECUTORS:
            raise SpecError(
                f"--executor {request.name}: no such executor{hint(request.name, EXECUTORS)}"
            )
        return EXECUTORS[request.name](request)
    return _local(request) if len(slot_environments(request)) > 1 else None


def make_workers(request: ExecutorRequest) -> Executor:
    """Return an executor of other processes, where need be of one worker of this machine.

    Raises:
        SpecError: as `make_executor`.
    """
    return make_executor(request) or _local(request)


def _here(request: ExecutorRequest) -> None:
    if (request.slots or 1) > 1:
        raise SpecError("--executor here runs one arm at a time; omit --slots or --executor")
    slot_environments(request)  # the devices exist


def _local(request: ExecutorRequest) -> Executor:
    from runners.executors.local import LocalExecutor

    return LocalExecutor(slot_environments(request), device=torch.device(request.device).type)


def _ray(request: ExecutorRequest) -> Executor:
    from runners.executors.ray.executor import RayExecutor

    return RayExecutor(
        address=request.address,
        devices=request.devices,
        slots=request.slots,
        work_dir=request.work_dir,
        device=torch.device(request.device).type,
    )


EXECUTORS: Mapping[str, Callable[[ExecutorRequest], Executor | None]] = {
    "here": _here,
    "local": _local,
    "ray": _ray,
}


def slot_environments(
    request: ExecutorRequest, *, num_cuda: int | None = None
) -> list[Mapping[str, str]]:
    """Return the variables that differ between the slots' workers: their devices, or threads.

    Raises:
        SpecError: the machine has too few devices.
    """
    slots, devices, device = request.slots, request.devices, torch.device(request.device)
    if device.type != "cuda":
        slots = slots or 1
        threads = max(1, torch.get_num_threads() // slots)
        return [{"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}] * slots
    count = torch.cuda.device_count() if num_cuda is None else num_cuda
    named = os.environ.get("CUDA_VISIBLE_DEVICES")  # how a child process gets a device of this one
    names = named.split(",") if named else map(str, range(count))
    visible = [name.strip() for name in names][:count]
    if request.named is not None and device.index is not None:
        visible = visible[device.index :][:devices]
    room = len(visible) // devices
    if slots is None:
        slots = max(room, 1) if request.named is None else 1
    if slots > room:
        raise SpecError(
            f"--slots {slots} of --devices {devices} each need "
            f"{slots * devices} CUDA devices; there are {len(visible)}"
        )
    groups = [visible[i * devices : (i + 1) * devices] for i in range(slots)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups]
