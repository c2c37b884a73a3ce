"""A job as a task on a node of a cluster. Runs in the main thread of a worker process there."""

import os
import socket
import sys
from dataclasses import dataclass

from runners.arms.finish import finish
from runners.arms.job import Job
from runners.executors.ray.shared_folder import Mark, objection
from runners.system.interrupt import TrainingStop, terminable
from runners.system.progress import log_to_stderr
from runners.units.workplace import Datasets
from runners.workdir.stop_file import has_stop_request
from yolact_bench.results.record import Record

# Kept while the process lives, which takes one task after the other: checking the annotations of
# COCO takes most of a minute.
_opened = Datasets()
_accepted: set[str] = set()  # secrets of marks that this process has seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of a task."""

    kind: str  # done, stopped, interrupted or refused
    host: str
    node: str  # Ray's id of it
    records: tuple[Record, ...] = ()
    why: str = ""  # it was refused


def run_task(job: Job, mark: Mark, *, node: str) -> Answer:
    """Carry out a job where this process is, if its machine can take part."""
    host = socket.gethostname()
    if mark.secret not in _accepted:
        # Ray brings the lines to the coordinator, with the name of the machine. Whatever is
        # printed goes there too: the standard output of the command is its result.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        log_to_stderr()
        why = objection(mark, node=node)
        if why is not None:
            return Answer(kind="refused", host=host, node=node, why=why)
        _accepted.add(mark.secret)
    if has_stop_request(job.folder):
        return Answer(kind="stopped", host=host, node=node)
    try:
        with terminable():
            units = list(finish(job.at(datasets=_opened)))
    except TrainingStop:
        return Answer(kind="stopped", host=host, node=node)
    except KeyboardInterrupt:
        return Answer(kind="interrupted", host=host, node=node)
    records = tuple(record for one in units for record in one)
    return Answer(kind="done", host=host, node=node, records=records)
