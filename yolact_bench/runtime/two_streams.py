"""Two parts of a network side by side on a GPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import torch

First = TypeVar("First")
Second = TypeVar("Second")


class Stream(Protocol):
    """What is used of torch.cuda.Stream."""

    def wait_stream(self, stream: Any) -> object:  # noqa: ANN401 - streams know their own kind only
        """Let what follows here wait for what the other stream holds now."""


class TwoStreams:
    """Runs two functions that do not need each other, the first on a stream of its own.

    That stream waits for all that comes before, and all that follows waits for both, by events:
    a graph records them as a fork and a join. Memory is safe as it is: what either frees is taken
    again on its own stream alone, and that one waits at the next fork.

    Source: PyTorch's notes on CUDA semantics, section "CUDA Graphs", "Usage with multiple streams".
    """

    def __init__(
        self,
        make: Callable[[], Stream] = torch.cuda.Stream,
        current: Callable[[], Stream] = torch.cuda.current_stream,
        on: Callable[[Any], AbstractContextManager[object]] = torch.cuda.stream,
    ) -> None:
        self._make, self._current, self._on = make, current, on
        self._side: Stream | None = None

    def __call__(
        self, first: Callable[[], First], second: Callable[[], Second]
    ) -> tuple[First, Second]:
        """Return what both return."""
        if self._side is None:  # not before there is a device
            self._side = self._make()
        current = self._current()
        self._side.wait_stream(current)
        with self._on(self._side):
            one = first()
        other = second()
        current.wait_stream(self._side)
        return one, other
