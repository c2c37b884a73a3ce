"""Results in order, while later ones are being made."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_order(waits: Iterable[Callable[[], T]], *, ahead: int) -> Iterator[T]:
    """Yield what each of `waits` returns; the next `ahead` are taken before it is called.

    Taking one starts its work elsewhere: `waits` is a generator that submits and yields, for
    example, the method `result` of a future.
    """
    waiting: deque[Callable[[], T]] = deque()
    for wait in waits:
        waiting.append(wait)
        if len(waiting) > ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()
