"""Progress: a bar on a terminal, plain log lines elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from yolact_bench.results.text import time_span

log = logging.getLogger(__name__)

# In the environment: lines even on a terminal, which several processes share.
PLAIN = "YOLACT_BENCH_PLAIN"

_SECONDS_BETWEEN_LINES = 10.0
_BAR, _SHORTEST_BAR, _SHORTEST_TITLE = 24, 8, 8  # characters
_GAP = "  "


class Progress(Protocol):
    """What a long loop reports to."""

    def advance(self, done: int, facts: str) -> None:
        """Report that `done` units are finished, with a few facts such as the losses."""


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
        log.info("%s  %d/%d  %s  %s left", self.title, done, self.total, facts, time_span(left))


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator[Progress]:
    """Give something to report progress to, for the length of a loop of `total` units."""
    if not sys.stderr.isatty() or os.environ.get(PLAIN):
        yield _Lines(title, total, start)
        return
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    console = Console(stderr=True)

    class _Line(ProgressColumn):
        def render(self, task: Task) -> Text:
            done = int(task.completed)
            rate = (done - start) / (task.elapsed or 1.0)
            line = progress_line(
                task.description,
                done,
                total,
                task.fields["facts"],
                left=(total - done) / rate if rate else None,
                width=console.width,
            )
            text = Text(line, no_wrap=True)
            text.highlight_regex("━+", "cyan")
            text.highlight_regex("─+", "dim")
            return text

    with RichProgress(_Line(), console=console) as bar:
        task = bar.add_task(title, total=total, completed=start, facts="")

        class _Bar:
            def advance(self, done: int, facts: str) -> None:
                bar.update(task, completed=done, facts=facts)

        yield _Bar()


def log_to_stderr(prefix: str = "", *, level: int | str | None = None) -> None:
    """Write log lines to the standard error, at a level or that of YOLACT_BENCH_LOG_LEVEL."""
    logging.basicConfig(
        level=level or logging.getLevelName(os.environ.get("YOLACT_BENCH_LOG_LEVEL", "INFO")),
        format=f"%(asctime)s  {prefix}%(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )


def progress_line(
    title: str, done: int, total: int, facts: str, *, left: float | None, width: int
) -> str:
    """Return one line of at most `width` characters, from 60 on with bar, count and time left.

    What does not fit is left out: first facts, the last ones first, then a part of the bar, then
    the end of the title.
    """
    count = f"{done}/{total}"
    end = f"{'?' if left is None else time_span(left)} left"
    fixed = len(count) + len(end) + 3 * len(_GAP)
    title_width = min(len(title), max(_SHORTEST_TITLE, width - fixed - _SHORTEST_BAR))
    bar_width = max(_SHORTEST_BAR, min(_BAR, width - fixed - title_width))
    room = width - fixed - title_width - bar_width
    filled = bar_width * done // max(total, 1)
    parts = ["━" * filled + "─" * (bar_width - filled), count]
    for fact in facts.split(_GAP) if facts else ():
        room -= len(_GAP) + len(fact)
        if room < 0:
            break
        parts.append(fact)
    short = title if len(title) <= title_width else title[: title_width - 1] + "…"
    return _GAP.join([short, *parts, end])


def losses_text(losses: Mapping[str, float]) -> str:
    """Return "box 1.20  class 3.40  …"."""
    return _GAP.join(f"{name} {value:.2f}" for name, value in losses.items())
