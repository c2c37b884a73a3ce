"""Joining the processes that share a training: a group of ranks, torchrun, devices."""

import datetime
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from runners.system.ranks import ALONE, Ranks, is_lost_rank
from runners.system.torchrun import TorchrunProcess, torchrun_process
from yolact_bench.errors import ArmError, SpecError

# Longer than the first rank takes for anything that the others wait for: opening COCO, a
# validation, a compilation.
_PATIENCE = datetime.timedelta(minutes=30)


@contextmanager
def join_group(place: TorchrunProcess, *, device: str, meet_at: str) -> Iterator[Ranks]:
    """Join the group of `place.size` processes that meet at a URL, for the length of a block.

    Messages between CPUs go over gloo, between GPUs over nccl.
    """
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
        init_method=meet_at,
        rank=place.rank,
        world_size=place.size,
        timeout=_PATIENCE,
    )
    # Its successor is not there in all versions of torch that this package works with.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
    yield Ranks(
        rank=place.rank,
        size=place.size,
        control=_group("gloo"),
        statistics=_group(None),
    )
    # Not where the block has failed: the others may be gone, and this would wait for them.
    dist.destroy_process_group()


def _group(backend: str | None) -> dist.ProcessGroup:
    """Return a further group of all ranks."""
    group = dist.new_group(backend=backend, timeout=_PATIENCE)
    assert isinstance(group, dist.ProcessGroup)
    return group


@contextmanager
def join_torchrun(device: str, *, devices: int) -> Iterator[tuple[Ranks, str]]:
    """Join the processes of torchrun; yield this one's place and device. By itself: alone.

    Raises:
        SpecError: `devices` contradicts torchrun, or the machine has too few.
        ArmError: another process has ended.
    """
    place = torchrun_process()
    if place is None:
        yield ALONE, device
        return
    if devices not in (1, place.size):
        raise SpecError(
            f"--devices {devices}: torchrun has started {place.size} processes, each with a "
            "device; leave --devices out"
        )
    own = device_of(device, place.local_rank)
    check_devices(own, 1)
    try:
        with join_group(place, device=own, meet_at="env://") as ranks:
            yield ranks, own
    except RuntimeError as error:
        if not is_lost_rank(error):
            raise
        raise ArmError(
            "rank_died", "another process of this training has ended; its own message says why"
        ) from error


def device_of(device: str, number: int) -> str:
    """Return the device of a rank: of "cuda:2" and rank 1 "cuda:3"; a CPU is shared."""
    base = torch.device(device)
    return device if base.type == "cpu" else f"{base.type}:{(base.index or 0) + number}"


def check_devices(device: str, devices: int) -> None:
    """Refuse more devices than there are.

    Raises:
        SpecError: too few, or a number below 1.
    """
    if devices < 1:
        raise SpecError(f"--devices {devices}: write 1 or more")
    base = torch.device(device)
    first = base.index or 0
    there = torch.cuda.device_count()
    if base.type == "cuda" and first + devices > there:
        raise SpecError(
            f"--devices {devices}: this machine has {there} CUDA devices, of which "
            f"{max(0, there - first)} from {device} on; write --devices {max(1, there - first)}"
        )
