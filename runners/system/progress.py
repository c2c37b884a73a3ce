"""Progress: a bar on a terminal, plain log lines elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from yolact_bench.results.text import elapsed

log = logging.getLogger(__name__)

# In the environment: lines even on a terminal, which several processes share.
PLAIN = "YOLACT_BENCH_PLAIN"

_SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """What a long loop tells about itself."""

    def advance(self, done: int, facts: str) -> None:
        """Say that `done` units are finished, with a few facts such as the losses."""
        ...


class _Lines:
    def __init__(self, title: str, total: int, start: int) -> None:
        self.title, self.total, self.start = title, total, start
        self.began = self.last = time.monotonic()

    def advance(self, done: int, facts: str) -> None:
        now = time.monotonic()
        if done < self.total and now - self.last < _SECONDS_BETWEEN_LINES:
            return
        self.last = now
        rate = (done - self.start) / max(now - self.began, 1e-9)
        left = (self.total - done) / rate if rate else 0.0
        log.info("%s  %d/%d  %s  %s left", self.title, done, self.total, facts, elapsed(left))


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator[Progress]:
    """Give something to report progress to, for the length of a loop of `total` units."""
    if not sys.stderr.isatty() or os.environ.get(PLAIN):
        yield _Lines(title, total, start)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=start, facts="")

        class _Bar:
            def advance(self, done: int, facts: str) -> None:
                bar.update(task, completed=done, facts=facts)

        yield _Bar()


def losses_text(losses: Mapping[str, float]) -> str:
    """Return "box 1.20  class 3.40  …"."""
    return "  ".join(f"{name} {value:.2f}" for name, value in losses.items())
