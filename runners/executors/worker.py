"""A worker process: takes jobs from a line, one after the other, and never outlives its sender.

Started as `python -m runners.executors.worker LINE LIFE SLOT`, with two inherited descriptors: the
line that jobs come by, and a pipe that nobody writes to, which breaks when the coordinator ends.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from runners.interrupt import Stopped, terminable
from runners.mistakes import INTERRUPTED

log = logging.getLogger(__name__)

_PATIENCE = 60.0  # seconds for a training to write its checkpoint when the coordinator is gone


def main() -> None:
    """Serve until the line breaks."""
    line: Connection[Any, Any] = Connection(int(sys.argv[1]))
    threading.Thread(target=_watch, args=(int(sys.argv[2]),), daemon=True).start()
    logging.basicConfig(
        level=logging.getLevelName(os.environ.get("YOLACT_BENCH_LOG_LEVEL", "INFO")),
        format=f"%(asctime)s  [{sys.argv[3]}]  %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    try:
        with terminable():
            _serve(line)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _serve(line: "Connection[Any, Any]") -> None:
    from runners.jobs import Job, carry_out

    datasets = None
    while True:
        try:
            job: Job = line.recv()
        except EOFError:
            return
        # Opened data sets are kept: checking the annotations of COCO takes most of a minute.
        datasets = datasets or job.place.datasets
        try:
            answer = ("done", carry_out(job.at(datasets=datasets)))
        except Stopped:
            answer = ("stopped", ())
        line.send(answer)


def _watch(life: int, wait: Callable[[int], object] = lambda life: os.read(life, 1)) -> None:
    """Stop, with a checkpoint, when the coordinator is gone; at once if that takes too long."""
    wait(life)
    log.warning("the coordinator is gone; stopping, with a checkpoint")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
