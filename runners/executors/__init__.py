"""Where jobs are carried out: worker processes of this machine, or a cluster."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from runners.arms.job import Executor
from yolact_bench.errors import SpecError
from yolact_bench.slots import hint

__all__ = ["EXECUTORS", "Placement", "make_executor", "slot_environments"]

EXECUTORS = ("here", "local", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where arms are to be carried out, as asked for."""

    executor: str | None = None  # of EXECUTORS; None: local where there is more than one slot
    slots: int | None = None  # arms side by side; None: as many as there are devices for
    devices: int = 1  # for each arm
    address: str | None = None  # of a Ray cluster


def make_executor(
    asked: Placement, *, work_dir: Path, device: str, chosen: bool, workers: bool = False
) -> Executor | None:
    """Return where to carry out jobs; None: in this process, one after the other.

    `chosen` says that the user has named the device, and so wants that one alone. With `workers`
    this process is never the answer.

    Raises:
        SpecError: an executor, devices or a cluster that are not there.
    """
    _check(asked)
    if asked.executor == "ray":
        from runners.executors.ray.executor import RayExecutor

        return RayExecutor(
            address=asked.address,
            devices=asked.devices,
            slots=asked.slots,
            work_dir=work_dir,
            device=torch.device(device).type,
        )
    environments = slot_environments(asked, device=device, chosen=chosen)
    if asked.executor == "here" and not workers:
        return None
    if asked.executor is None and len(environments) == 1 and not workers:
        return None
    from runners.executors.local import LocalExecutor

    return LocalExecutor(environments, device=torch.device(device).type)


def slot_environments(
    asked: Placement, *, device: str, chosen: bool, num_cuda: int | None = None
) -> list[Mapping[str, str]]:
    """Return what the environment of each slot's worker has of its own: its devices, or threads.

    Raises:
        SpecError: more devices are asked for than there are.
    """
    if torch.device(device).type != "cuda":
        slots = asked.slots or 1
        threads = max(1, torch.get_num_threads() // slots)
        return [{"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}] * slots
    visible = _visible(torch.cuda.device_count() if num_cuda is None else num_cuda)
    if chosen and torch.device(device).index is not None:
        visible = visible[torch.device(device).index :][: asked.devices]
    room = len(visible) // asked.devices
    slots = (1 if chosen else max(room, 1)) if asked.slots is None else asked.slots
    if slots > room:
        raise SpecError(
            f"--slots {slots} of --devices {asked.devices} each need {slots * asked.devices} CUDA "
            f"devices; there are {len(visible)}"
        )
    groups = [visible[i * asked.devices : (i + 1) * asked.devices] for i in range(slots)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups]


def _visible(count: int) -> list[str]:
    """The names by which a child process is given each CUDA device of this one."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named else [str(index) for index in range(count)]
    return [name.strip() for name in names][:count]


def _check(asked: Placement) -> None:
    if asked.executor is not None and asked.executor not in EXECUTORS:
        known = dict.fromkeys(EXECUTORS)
        raise SpecError(
            f"--executor {asked.executor}: none is named so{hint(asked.executor, known)}"
        )
    if asked.address is not None and asked.executor != "ray":
        raise SpecError(f"--address {asked.address}: is of a Ray cluster; add --executor ray")
    for option, number in (("--slots", asked.slots), ("--devices", asked.devices)):
        if number is not None and number < 1:
            raise SpecError(f"{option} {number}: expected 1 or more")
    if asked.executor == "here" and (asked.slots or 1) > 1:
        raise SpecError("--executor here runs one arm at a time; leave --slots or --executor out")
