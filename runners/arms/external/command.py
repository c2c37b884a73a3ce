"""A command of another environment: run with a limit of time, its children never left behind."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runners.system.interrupt import terminable
from yolact_bench.errors import ArmError

GRACE_SECONDS = 5.0  # between asking a command to stop and killing it
# They would lead another interpreter to the packages of this one.
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_TAIL_LINES, _TAIL_CHARACTERS = 12, 1500


def run_command(words: Sequence[str], *, folder: Path, log_file: Path, timeout: float) -> None:
    """Run a command in `folder` until it ends; what it prints goes to `log_file`.

    It gets a process group, which ends with it: on a timeout, on Ctrl-C, on SIGTERM.

    Raises:
        ArmError: it cannot be started, exits with another code than 0, or takes longer than
            `timeout` seconds; the message ends with the last lines that it printed.
        KeyboardInterrupt: a stop was requested.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _OURS}
    with log_file.open("wb") as output, terminable():
        try:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            text = f"{words[0]}: {error.strerror}; correct the command"
            raise ArmError("command_failed", text) from error
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise ArmError(
                "timeout",
                f"{words[0]} took longer than timeout_minutes: {timeout / 60:g}; write more, or "
                f"make it faster{_tail(log_file)}",
            ) from error
        finally:
            _end_group(process)
    if code != 0:
        end = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
        raise ArmError("command_failed", f"{words[0]} ended with {end}{_tail(log_file)}")


def _tail(log_file: Path) -> str:
    text = log_file.read_bytes()[-_TAIL_CHARACTERS:].decode(errors="replace").strip()
    lines = text.splitlines()[-_TAIL_LINES:]
    return ": " + "\n".join(lines) if lines else ", and printed nothing"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the command if it still runs, and all that it has started."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Where the command has ended before what it started, its id still names the group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
