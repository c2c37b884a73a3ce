"""Exit codes, and which of them an exception or invalid times mean."""

import logging
from collections.abc import Iterable

import typer

from runners.system.output import echo
from runners.system.torchrun import is_first_process
from yolact_bench.escape import printable

log = logging.getLogger(__name__)

_LONGEST = 2000  # characters of a message, or of each of a few lines
_MOST_LINES = 64
USAGE, FAILED_ARMS, UNMET, INVALID, INTERRUPTED = 2, 3, 4, 5, 130


def exit_code_of(error: Exception) -> int:
    """Print a mistake, or a file that the system refuses, as one message and return its exit code.

    Anything else is raised again, as a mistake of ours. Where a file was refused stands in the log
    at the level DEBUG. Under torchrun the first process prints it.
    """
    from yolact_bench.errors import ArmError, SpecError, file_fault

    show = getattr(error, "show", None)  # of click's errors: typer may bring its own click
    if callable(show):
        _escape(error)
        show()
    elif isinstance(error, SpecError):
        _print(f"error: {_shorten(str(error))}")
    elif isinstance(error, ArmError):
        _print(f"failed ({error.kind}): {error}")
        return FAILED_ARMS
    elif fault := file_fault(error):
        log.debug("where the file was refused", exc_info=error)
        _print(f"error: {fault}")
    else:
        raise error
    return USAGE


def _escape(error: Exception) -> None:
    """Make the words of the user in an error of click harmless to terminals."""
    if isinstance(message := getattr(error, "message", None), str):
        error.message = _shorten(printable(message))  # type: ignore[attr-defined]


def _shorten(message: str) -> str:
    """Return a message that may quote a whole file with its beginning and its end, the advice.

    Of several mistakes each has a line, and each line a beginning and an end.
    """
    if len(message) <= _LONGEST:
        return message
    lines = message.splitlines()
    if 1 < len(lines) <= _MOST_LINES:
        return "\n".join(map(_shorten, lines))
    return f"{message[:1500]} … {message[-400:]}"


def exit_if_invalid(reasons: Iterable[str]) -> None:
    """Print why times do not count and exit with the code of that; return if all are ""."""
    invalid = sorted({*reasons} - {""})
    for reason in invalid:
        _print(f"the times do not count: {reason}")
    if invalid:
        raise typer.Exit(INVALID)


def _print(message: str) -> None:
    if is_first_process():
        echo(message, err=True)
