"""A worker process: takes jobs from a line, one after the other, and never outlives its sender.

Started as `python -m runners.executors.worker LINE LIFE SLOT`, with two inherited descriptors: the
line that jobs come by, and a silent pipe, which breaks when the coordinator ends.
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

_PATIENCE = 45.0  # seconds for a training to write its checkpoint when the coordinator is gone


def main() -> None:
    """Serve until the line breaks."""
    line: Connection[Any, Any] = Connection(int(sys.argv[1]))
    threading.Thread(target=_watch, args=(int(sys.argv[2]),), daemon=True).start()
    log_to_stderr(f"[{sys.argv[3]}]  ")
    try:
        with terminable():
            _serve(line)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _serve(line: "Connection[Any, Any]") -> None:
    from runners.arms.finish import finish
    from runners.arms.job import Job

    datasets = None
    while True:
        try:
            job: Job = line.recv()
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
            line.send(answer)
        except OSError:
            log.warning("%s: the coordinator no longer waits for it", job.title)
            return


def _watch(life: int) -> None:
    """Stop, with a checkpoint, when the coordinator is gone; at once if that takes too long."""
    os.read(life, 1)
    log.warning("the coordinator is gone; stopping, with a checkpoint")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os.killpg(os.getpgid(0), signal.SIGKILL)  # with what it has started; the group is its own


if __name__ == "__main__":
    main()
