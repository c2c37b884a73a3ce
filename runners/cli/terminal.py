"""How results appear on the terminal, or in a pipe."""

import os
import shutil
import sys

import typer

from reports.pages.terminal import PLAIN_WIDTH, render
from reports.summary.aggregate import Summary


def print_summary(summary: Summary, *, notes: bool) -> None:
    """Print the result of an ablation as wide as the terminal; without colour into a pipe."""
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else PLAIN_WIDTH
    colour = is_terminal and "NO_COLOR" not in os.environ
    typer.echo(render(summary, width=width, notes=notes, colour=colour))
