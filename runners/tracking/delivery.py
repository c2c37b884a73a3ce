"""From the journal to MLflow, in a separate thread, for as long as MLflow takes to answer."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from runners.tracking.journal import read_events
from runners.tracking.point_buffer import FLUSH_SECONDS
from runners.tracking.server import recovery
from runners.tracking.writer import Writer
from yolact_bench.errors import first_line

log = logging.getLogger(__name__)

# Seconds between attempts, doubled each time.
_FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class Delivery:
    """Reads a journal as it grows and writes its events.

    The journal is the queue: nothing but a batch of points is kept in memory, nothing is
    dropped while MLflow is away, and what is left at the end is there for a backfill.
    """

    def __init__(
        self, path: Path, open_writer: Callable[[], Writer], *, longest_pause: float = LONGEST_PAUSE
    ) -> None:
        self.fault = ""  # of the last attempt, until one succeeds
        self._path, self._open_writer = path, open_writer
        self._longest_pause = longest_pause
        self._writer: Writer | None = None
        self._size = 0  # of the journal
        self._position = 0  # in the journal, of the first event not applied
        self._delivered = 0  # bytes of the journal whose events MLflow has
        self._pause = 0.0
        self._flush_now = self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="mlflow", daemon=True)
        self._thread.start()

    def wake(self, size: int) -> None:
        """Announce that the journal has grown to `size` bytes."""
        with self._changed:
            self._size = size
            self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        """Wait until MLflow has all, or does not answer, at most `timeout` seconds."""
        with self._changed:
            wanted = self._size
            self._flush_now = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._delivered >= wanted or bool(self.fault), timeout)

    def close(self, timeout: float) -> bool:
        """Make a last attempt, end the thread, and return whether MLflow has all."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return self._delivered >= self._size

    def _serve(self) -> None:
        closing = False
        while not closing:
            closing = self._wait()
            self._attempt(flush=closing or self._flush_now)

    def _wait(self) -> bool:
        """Wait until there is something to do; return whether it is the last."""
        with self._changed:
            if self._pause:  # MLflow is away: new events are no reason to try sooner
                self._changed.wait_for(lambda: self._closing, self._pause)
            else:
                waiting = self._writer is not None and self._writer.points.waiting
                self._changed.wait_for(
                    lambda: self._closing or self._flush_now or self._size > self._position,
                    FLUSH_SECONDS if waiting else None,
                )
            return self._closing

    def _attempt(self, *, flush: bool) -> None:
        try:
            self._writer = self._writer or self._open_writer()
            for event, after in read_events(self._path, self._position):
                self._writer.apply(event)
                self._position = after
                self._writer.points.flush(late_only=True)
            self._writer.points.flush(late_only=not flush)
        except Exception as error:  # any: a tracker must not end a training
            self._fail(error)
            return
        if self.fault:
            log.info("MLflow answers again and has what it missed")
        with self._changed:
            self._pause, self.fault = 0.0, ""
            self._flush_now = self._flush_now and not flush
            if not self._writer.points.waiting:
                self._delivered = self._position
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        """Keep the place in the journal, and wait twice as long as the last time."""
        if recovery(error) == "restart":  # another store has taken the place of the one written to
            self._writer, self._position, self._delivered = None, 0, 0
        elif self._writer is not None:
            self._writer.points.forget_sent()
        fault = f"{type(error).__name__}: {first_line(error)}"
        if not self.fault:
            log.warning("MLflow cannot be written (%s); the run continues and retries", fault)
        with self._changed:
            self._pause = min(max(_FIRST_PAUSE, 2 * self._pause), self._longest_pause)
            self.fault = fault
            self._changed.notify_all()
