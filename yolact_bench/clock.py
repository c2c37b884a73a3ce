"""Named stages of the detector, for whoever wants to time them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

STAGES = (
    "preprocess",
    "backbone",
    "fpn",
    "protonet",
    "head",
    "nms",
    "assembly",
    "rescore",
    "upsample",
    "copy",
)

Clock = Callable[[str], AbstractContextManager[None]]


@contextmanager
def no_clock(stage: str) -> Iterator[None]:
    """Time nothing. The default, so that the timed program is the evaluated program."""
    yield
