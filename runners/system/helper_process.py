"""A process beside this one that runs calls, and never outlives it."""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from yolact_bench.errors import ArmError

T = TypeVar("T")

_PATIENCE = 5.0  # seconds for a process without work to end by itself


def can_start_helpers() -> bool:
    """Return whether this process may start others, which a helper process may not."""
    return not multiprocessing.current_process().daemon


class HelperProcess:
    """One process and the pipe to it. Calls are answered one at a time, in order.

    It starts from nothing rather than as a copy, which would hold the locks of other threads and
    a device that cannot be shared. Where this process ends, however it ends, the pipe closes and
    the helper stops after its current call. Interrupts from the keyboard are left to this
    process.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end,), daemon=True)
        self._process.start()
        far_end.close()  # or the end of the process would not be seen here

    def __enter__(self) -> "HelperProcess":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._process.kill()
        self._pipe.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def kill(self) -> None:
        """End the process now; `receive` then raises an `ArmError`."""
        self._process.kill()

    def send(self, function: Callable[..., T], *arguments: object, **options: object) -> None:
        """Let the helper call a function of a module, whose answer `receive` returns."""
        self._post("call", function, arguments, options)

    def send_new(self, kind: Callable[..., object], *arguments: object) -> None:
        """Let the helper make the object that it owns from now on; `receive` returns None."""
        self._post("make", kind, arguments, {})

    def send_to_owned(self, method: Callable[..., T], *arguments: object) -> None:
        """Let the helper call a method of the object that it owns."""
        self._post("owned", method, arguments, {})

    def _post(self, *message: object) -> None:
        with suppress(BrokenPipeError):  # `receive` reports it
            self._pipe.send(message)

    def receive(self) -> Any:  # noqa: ANN401
        """Return what the oldest call without an answer has returned.

        Raises:
            ArmError: the process has died.
            Exception: whatever the function raised.
        """
        try:
            answer, error = self._pipe.recv()
        except (EOFError, OSError) as broken:
            self._process.join(_PATIENCE)
            raise ArmError(
                "process_died",
                f"a process beside this one died (exit code {self._process.exitcode}); if "
                "memory ran out, use --workers 0",
            ) from broken
        if error is not None:
            raise error
        return answer


def _serve(pipe: "Connection[Any, Any]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owned: object = None
    with suppress(EOFError, OSError):  # the other end is gone
        while True:
            target, function, arguments, options = pipe.recv()
            answer, failed = None, None
            try:
                if target == "make":
                    owned = function(*arguments)
                elif target == "owned":
                    answer = function(owned, *arguments)
                else:
                    answer = function(*arguments, **options)
            except Exception as error:
                failed = error
            pipe.send((answer, failed))
