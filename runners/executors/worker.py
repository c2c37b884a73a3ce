"""A worker process: takes jobs from a pipe, one after the other, and ends with the coordinator.

Started as `python -m runners.executors.worker PIPE LIFETIME SLOT`, with two inherited descriptors:
the pipe that jobs come by, and one that nothing is written to, which closes with the coordinator.
"""

import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from runners.system.exit_codes import INTERRUPTED
from runners.system.interrupt import TrainingStop, terminable
from runners.system.progress import log_to_stderr

log = logging.getLogger(__name__)

_PATIENCE = 45.0  # seconds for a training to write its checkpoint when the coordinator has ended


def main() -> None:
    """Serve until the pipe closes."""
    pipe: Connection[Any, Any] = Connection(int(sys.argv[1]))
    threading.Thread(target=_watch, args=(int(sys.argv[2]),), daemon=True).start()
    log_to_stderr(f"[{sys.argv[3]}]  ")
    try:
        with terminable():
            _serve(pipe)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _serve(pipe: "Connection[Any, Any]") -> None:
    from runners.arms.finish import finish
    from runners.arms.job import Job

    datasets = None
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        # Opened data sets are kept: checking the annotations of COCO takes most of a minute.
        datasets = datasets or job.place.datasets
        try:
            units = list(finish(job.at(datasets=datasets)))
            answer = "done", [record for records in units for record in records]
        except TrainingStop:
            answer = "stopped", []
        try:
            pipe.send(answer)
        except OSError:
            log.warning("%s: the coordinator has ended", job.title)
            return


def _watch(lifetime: int) -> None:
    """Stop, with a checkpoint, when the coordinator has ended; at once if that takes too long."""
    os.read(lifetime, 1)
    log.warning("the coordinator is gone; stopping, with a checkpoint")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os.killpg(os.getpgid(0), signal.SIGKILL)  # with what it has started; the group is its own


if __name__ == "__main__":
    main()
