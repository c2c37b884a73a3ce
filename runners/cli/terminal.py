"""How results appear on the terminal, or in a pipe."""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial

import typer

from reports.pages.terminal import PLAIN_WIDTH, render, render_table
from reports.summary.aggregate import Summary
from reports.sweeps.build import render_sweep
from reports.tables.table import Table
from yolact_bench.results.sweep import Sweep


def print_summary(summary: Summary, *, notes: bool) -> None:
    """Print the result of an ablation as wide as the terminal; without colour into a pipe."""
    _print(partial(render, summary, notes=notes))


def print_sweep(sweep: Sweep) -> None:
    """Print the headline and the best trials of a sweep, likewise."""
    _print(partial(render_sweep, sweep))


def print_table(table: Table) -> None:
    """Print a table with its notes, likewise."""
    _print(partial(render_table, table, notes=True))


def _print(text: Callable[..., str]) -> None:
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else PLAIN_WIDTH
    typer.echo(text(width=width, colour=is_terminal and "NO_COLOR" not in os.environ))
