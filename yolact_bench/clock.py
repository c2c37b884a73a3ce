"""Named stages of the detector, which a clock can time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

STAGES = (
    *("preprocess", "backbone", "fpn", "protonet", "head"),
    *("nms", "assembly", "rescore", "upsample", "copy"),
)

Clock = Callable[[str], AbstractContextManager[None]]


@runtime_checkable
class TakesTimes(Protocol):
    """A clock that also takes times measured by others, as of stages within a CUDA graph."""

    def add(self, stage: str, milliseconds: float) -> None:
        """Count milliseconds as a part of `stage`."""


@contextmanager
def no_clock(stage: str) -> Iterator[None]:
    """Time nothing. The default, so that the timed program is the evaluated program."""
    yield
