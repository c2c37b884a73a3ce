"""Ctrl-C and SIGTERM: a training writes a checkpoint first, anything else stops where it is."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


class TrainingStop(KeyboardInterrupt):
    """A request has ended a training, not its process; a checkpoint was written."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM, which schedulers and containers send, raise KeyboardInterrupt as Ctrl-C does.

    Clean-up and hints how to continue then work as usual. Outside the main thread signals
    cannot be handled; nothing changes there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether a stop was requested. A second request stops at once.

    Outside the main thread signals cannot be handled; the function then always says no.

    Raises:
        KeyboardInterrupt: at the end, if a stop was requested that the block did not see.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    requested = False

    def request(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True
        log.warning("stopping after this iteration, with a checkpoint; again: stop at once")

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: requested
    except Exception as error:
        if not requested:
            raise
        log.warning("while stopping: %s", error)  # repeating the command shows it again
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if requested:  # after the last iteration
        raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt if a stop was requested.

    Raised wherever the signal finds the program, it could be lost in a callback that swallows
    it, or come between two steps of a database. A second request stops at once.
    """
    with graceful_stop() as requested:

        def check() -> None:
            if requested():
                raise KeyboardInterrupt

        yield check
