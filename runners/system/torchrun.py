"""The place of this process among those that torchrun has started. Loads no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from yolact_bench.errors import SpecError

_WORDS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchrunProcess:
    """The place of a process that torchrun has started."""

    rank: int  # of all, on all machines; the first writes and logs
    local_rank: int  # of those on this machine, which is also the number of its device
    size: int


def torchrun_process(environment: Mapping[str, str] = os.environ) -> TorchrunProcess | None:
    """Return this process's place under torchrun; None without torchrun."""
    if not all(word in environment for word in _WORDS):
        return None
    return TorchrunProcess(
        rank=int(environment["RANK"]),
        local_rank=int(environment["LOCAL_RANK"]),
        size=int(environment["WORLD_SIZE"]),
    )


def is_first_process() -> bool:
    """Return whether this process prints: under torchrun only the first does."""
    place = torchrun_process()
    return place is None or place.rank == 0


def refuse_torchrun(command: str) -> None:
    """Refuse a command that each process of torchrun would repeat.

    Raises:
        SpecError: torchrun has started this process.
    """
    if torchrun_process() is not None:
        raise SpecError(
            f"{command}: torchrun starts several processes, which only `yolact-bench train` "
            f"shares work among; write `yolact-bench {command} …` without torchrun"
        )
