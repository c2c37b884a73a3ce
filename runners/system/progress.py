"""Progress: a bar on a terminal, plain log lines elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from runners.system.output import LogFormatter
from yolact_bench.escape import one_line
from yolact_bench.text import time_span

log = logging.getLogger(__name__)

# In the environment: lines even on a terminal, which several processes share.
PLAIN = "YOLACT_BENCH_PLAIN"

_SECONDS_BETWEEN_LINES = 10.0
_BAR, _SHORTEST_BAR, _SHORTEST_TITLE = 24, 8, 8  # characters
_GAP = "  "


# Reports how many units of a loop are finished, with a few facts such as the losses.
Advance = Callable[[int, str], None]


def _log_lines(title: str, total: int, start: int) -> Advance:
    began = last = time.monotonic()

    def advance(done: int, facts: str) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < _SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = (done - start) / max(now - began, 1e-9)
        left = (total - done) / rate if rate else 0.0
        log.info("%s  %d/%d  %s  %s left", title, done, total, facts, time_span(left))

    return advance


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator[Advance]:
    """Yield the function that a loop of `total` units reports its progress to."""
    title = one_line(title)
    if not sys.stderr.isatty() or os.environ.get(PLAIN):
        yield _log_lines(title, total, start)
        return
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
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

    with Progress(_Line(), console=console) as bar:
        task = bar.add_task(title, total=total, completed=start, facts="")
        yield lambda done, facts: bar.update(task, completed=done, facts=facts)


@contextmanager
def scan_progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield the same for a number alone."""
    with progress(title, total) as advance:
        yield lambda done: advance(done, "")


def log_to_stderr(prefix: str = "", *, level: int | str | None = None) -> None:
    """Write log lines to the standard error, at a level or that of YOLACT_BENCH_LOG_LEVEL."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(f"%(asctime)s  {prefix}%(message)s", "%H:%M:%S"))
    logging.basicConfig(
        level=level or logging.getLevelName(os.environ.get("YOLACT_BENCH_LOG_LEVEL", "INFO")),
        handlers=[handler],
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
