"""A process for each device of a training on this machine, and the parent that watches them.

One file: both ends of the pipe between parent and rank speak the same protocol.
"""

import logging
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from runners.system.join_ranks import check_devices, device_of, join_group
from runners.system.progress import log_to_stderr
from runners.system.ranks import is_lost_rank, portable
from runners.system.torchrun import TorchrunProcess
from yolact_bench.errors import ArmError
from yolact_bench.training_log import Logged

T = TypeVar("T")

_GRACE = 5.0  # seconds in which the other ranks may report why they fail, too
_LOOK_EVERY = 0.2  # seconds between looks at whether a stop is requested
_STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a rank gets from the process that has started it."""

    should_stop: Callable[[], bool]
    on_log: Logged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    size: int
    device: str
    meet_at: str
    threads: int
    log_level: int


def share_devices(
    task: Callable[..., T],
    arguments: Sequence[object],
    *,
    devices: int,
    device: str,
    should_stop: Callable[[], bool],
    on_log: Logged | None,
) -> T:
    """Return what the first rank returns of `task(ranks, device, parent, *arguments)`.

    Each rank is a separate process, the first on `device`, the next on the one after it; a
    CPU's threads are shared out. None outlives this call or this process.

    Raises:
        ArmError: a rank has died.
        BaseException: what a rank has raised; the others are then ended.
    """
    check_devices(device, devices)
    with tempfile.TemporaryDirectory(prefix="yolact-bench-") as folder:
        start = _Start(
            size=devices,
            device=device,
            meet_at=f"file://{Path(folder).resolve() / 'meeting'}",
            threads=max(1, torch.get_num_threads() // devices),
            log_level=logging.getLogger().getEffectiveLevel(),
        )
        processes = _Processes(start, task, arguments)
        try:
            processes.watch(should_stop, on_log)
        finally:
            processes.end()
    return cast(T, processes.answers[0])


class _Processes:
    def __init__(
        self, start: _Start, task: Callable[..., object], arguments: Sequence[object]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.answers: dict[int, object] = {}
        self._errors: dict[int, BaseException] = {}
        self._pipes: dict[Connection[Any, Any], int] = {}  # that are still open, to their rank
        self._processes: list[BaseProcess] = []
        for rank in range(start.size):
            pipe, far_end = context.Pipe()
            process = context.Process(target=_serve, args=(far_end, start, rank, task, arguments))
            process.start()
            far_end.close()  # or the end of the process would not be seen here
            self._pipes[pipe] = rank
            self._processes.append(process)

    def watch(self, should_stop: Callable[[], bool], on_log: Logged | None) -> None:
        """Wait until all have answered, or one has failed and the others had time to report it."""
        sent, give_up = False, float("inf")
        while self._pipes and time.monotonic() < give_up:
            if not sent and should_stop():
                sent = True
                for each in self._pipes:
                    with suppress(OSError):  # it is gone, which `_receive` reports
                        each.send(_STOP)
            for pipe in wait(list(self._pipes), timeout=_LOOK_EVERY):
                assert isinstance(pipe, Connection)
                self._receive(pipe, on_log)
            if self._errors and give_up == float("inf"):
                give_up = time.monotonic() + _GRACE
        if self._errors:
            # The cause: a rank whose partner is gone fails, too.
            raise min((self._errors[rank] for rank in sorted(self._errors)), key=_follows)

    def end(self) -> None:
        """Kill the rest: after a failure, each would wait for a lost rank."""
        for process in self._processes:
            process.join(0 if self._errors or self._pipes else _GRACE)
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in self._pipes:
            pipe.close()

    def _receive(self, pipe: "Connection[Any, Any]", on_log: Logged | None) -> None:
        rank = self._pipes[pipe]
        try:
            kind, content = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            if rank not in self.answers and rank not in self._errors:
                self._errors[rank] = self._death(rank)
            del self._pipes[pipe]
            pipe.close()
            return
        if kind == "answer":
            self.answers[rank] = content
        elif kind == "error":
            self._errors[rank] = content
        elif on_log is not None:
            on_log(*content)

    def _death(self, rank: int) -> ArmError:
        process = self._processes[rank]
        process.join(_GRACE)
        code = process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        return ArmError(
            "rank_died",
            f"process {rank} of the {len(self._processes)} that shared the training died ({how}); "
            "if memory ran out, use more devices or a smaller batch. The same command continues "
            "from the last checkpoint",
        )


def _follows(error: BaseException) -> int:
    """Return how far an error may be a consequence of another."""
    if is_lost_rank(error):
        return 2
    return 1 if isinstance(error, ArmError) and error.kind == "rank_died" else 0


def _serve(
    pipe: "Connection[Any, Any]",
    start: _Start,
    rank: int,
    task: Callable[..., object],
    arguments: Sequence[object],
) -> None:
    """Carry out the task as one rank. Interrupts from the keyboard are the parent's to pass on."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    threading.Thread(target=_listen, args=(pipe, stop), daemon=True).start()
    log_to_stderr(level=start.log_level if rank == 0 else logging.ERROR)
    torch.set_num_threads(start.threads)
    device = device_of(start.device, rank)
    place = TorchrunProcess(rank=rank, local_rank=rank, size=start.size)

    def send(kind: str, content: object) -> None:
        # By value: `Connection.send` would pass tensors as files that end with this process, which
        # may be gone before the parent has opened them.
        pipe.send_bytes(pickle.dumps((kind, content)))

    parent = Parent(should_stop=stop.is_set, on_log=lambda *points: send("points", points))
    try:
        with join_group(place, device=device, meet_at=start.meet_at) as ranks:
            answer = task(ranks, device, parent, *arguments)
        send("answer", answer)
    except BaseException as error:
        send("error", portable(error))


def _listen(pipe: "Connection[Any, Any]", stop: threading.Event) -> None:
    """Pass a stop on; end with the parent, however it has ended."""
    try:
        while pipe.recv() == _STOP:
            stop.set()
    except (EOFError, OSError):
        os._exit(1)
