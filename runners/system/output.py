"""What commands print: the one place through which text reaches the terminal."""

import logging

import typer

from yolact_bench.escape import printable


def echo(text: str, *, err: bool = False) -> None:
    """Print a text without control characters and passwords; with `err` to the standard error."""
    typer.echo(printable(text), err=err)


class LogFormatter(logging.Formatter):
    """Log lines without control characters and passwords, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or several where the message or a traceback has several."""
        return printable(super().format(record))
