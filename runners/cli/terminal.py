"""How results appear on the terminal, or in a pipe."""

import os
import shutil
import sys
from typing import TypedDict

import typer

from reports.pages.terminal import PLAIN_WIDTH, render, render_table
from reports.summary.aggregate import Summary
from reports.sweeps.build import render_sweep
from reports.tables.table import Table
from yolact_bench.results.sweep import Sweep


class _Format(TypedDict):
    width: int
    colour: bool


def print_summary(summary: Summary, *, notes: bool) -> None:
    """Print the result of an ablation as wide as the terminal; without colour into a pipe."""
    typer.echo(render(summary, notes=notes, **_format()))


def print_sweep(sweep: Sweep) -> None:
    """Print the headline and the best trials of a sweep, likewise."""
    typer.echo(render_sweep(sweep, **_format()))


def print_table(table: Table) -> None:
    """Print a table with its notes, likewise."""
    typer.echo(render_table(table, notes=True, **_format()))


def _format() -> _Format:
    is_terminal = sys.stdout.isatty()
    return {
        "width": shutil.get_terminal_size().columns if is_terminal else PLAIN_WIDTH,
        "colour": is_terminal and "NO_COLOR" not in os.environ,
    }
