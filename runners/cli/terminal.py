"""How results appear on the terminal, or in a pipe."""

import os
import shutil
import sys
from collections.abc import Callable

import typer

from reports.pages.terminal import PLAIN_WIDTH


def print_fitted(text: Callable[..., str]) -> None:
    """Print a text of `width` and `colour`: as wide as the terminal; without colour into a pipe."""
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else PLAIN_WIDTH
    typer.echo(text(width=width, colour=is_terminal and "NO_COLOR" not in os.environ))
