"""Ctrl-C and SIGTERM: a training writes a checkpoint first, anything else stops where it is."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


class Stopped(KeyboardInterrupt):
    """A training has ended because it was asked to, not its process; a checkpoint was written."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM, which schedulers and containers send, raise KeyboardInterrupt as Ctrl-C does.

    Everything that cleans up or says how to go on then does so. Outside the main thread signals
    cannot be handled; nothing changes there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether a stop was asked for. A second request stops at once.

    Outside the main thread signals cannot be handled; the function then always says no.

    Raises:
        KeyboardInterrupt: at the end, if a stop was asked for and nobody asked for it any more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        log.warning("stopping after this iteration, with a checkpoint; again: stop at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    except Exception as error:
        if not asked:
            raise
        log.warning("while stopping: %s", error)  # the same command meets it again
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:  # after the last iteration
        raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Give a function that raises KeyboardInterrupt if a stop was asked for since.

    Raised wherever the signal finds the program, it could be lost in a callback that swallows
    it, or come between two steps of a database. A second request stops at once.
    """
    with graceful_stop() as asked:

        def check() -> None:
            if asked():
                raise KeyboardInterrupt

        yield check


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
