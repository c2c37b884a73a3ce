"""Processes that share each batch of a training, and what they exchange."""

import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from yolact_bench.errors import ArmError

T = TypeVar("T")

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
