"""Processes that share each batch of a training, and what they exchange."""

import datetime
import pickle
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from runners.system.torchrun import TorchrunProcess, torchrun_process
from yolact_bench.errors import ArmError, SpecError

T = TypeVar("T")

# Longer than the first rank takes for anything that the others wait for: opening COCO, a
# validation, a compilation.
_PATIENCE = datetime.timedelta(minutes=30)
_LOST = re.compile(r"gloo|nccl|closed by peer|connection (reset|refused|was)|broken pipe", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """A process's place among those that share a training. By itself, it is the first of one.

    All ranks must call each method, in the same order; where one does not, the others wait.
    """

    rank: int = 0
    size: int = 1
    # Apart from the group that gradients are reduced in, whose order is not that of the program.
    control: dist.ProcessGroup | None = None
    statistics: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Return whether this rank writes, logs and decides."""
        return self.rank == 0

    def sum(self, count: Tensor) -> Tensor:
        """Return the sum over the ranks of a count, through which no gradient flows."""
        if self.size == 1:
            return count
        total = count.detach().clone()
        dist.all_reduce(total)
        return total

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the ranks, equal on each of them."""
        return values if self.size == 1 else self.sum(values) / self.size

    def highest(self, code: int) -> int:
        """Return the highest number that any rank gives."""
        if self.size == 1:
            return code
        value = torch.tensor(code)
        dist.all_reduce(value, op=dist.ReduceOp.MAX, group=self.control)
        return int(value)

    def broadcast_from_first(self, number: int) -> int:
        """Return the number that the first rank gives; that of others does not count."""
        if self.size == 1:
            return number
        value = torch.tensor(number)
        dist.broadcast(value, 0, group=self.control)
        return int(value)

    def raise_on_all(self, error: BaseException | None) -> None:
        """Raise an error that any rank has met, the same on all.

        Raises:
            Exception: `error`, or that of the lowest rank that has one.
        """
        if self.size > 1 and self.highest(int(error is not None)):
            errors: list[BaseException | None] = [None] * self.size
            own = None if error is None else portable(error)
            dist.all_gather_object(errors, own, group=self.control)
            error = error or next(one for one in errors if one is not None)
        if error is not None:
            raise error

    def do_on_all(self, action: Callable[[], T]) -> T:
        """Return what `action` returns here, once it has succeeded on every rank.

        Raises:
            Exception: what it raised on any rank, on all.
        """
        results, failed = [], None
        try:
            results.append(action())
        except Exception as error:
            failed = error
        self.raise_on_all(failed)
        return results[0]

    def do_on_first(self, action: Callable[[], object]) -> None:
        """Let the first rank act while the others wait; all raise its error.

        Raises:
            Exception: whatever `action` raised, on all ranks.
        """
        self.do_on_all(lambda: action() if self.first else None)


ALONE = Ranks()


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


def is_lost_rank(error: BaseException) -> bool:
    """Return whether an error only says that another rank is gone."""
    ours = isinstance(error, ArmError | torch.OutOfMemoryError)
    return isinstance(error, RuntimeError) and not ours and bool(_LOST.search(str(error)))


def portable(error: BaseException) -> BaseException:
    """Return an error as another process can read it, with the traceback as a note."""
    note = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error
