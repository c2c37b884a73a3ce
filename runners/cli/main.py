"""The command line. A command imports what it needs when it is called, so that --help is fast."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from runners.cli import (
    arm_commands,
    conversion_commands,
    report_commands,
    spec_commands,
    workdir_commands,
)
from runners.cli.command import callback
from runners.cli.options import number
from runners.system.exit_codes import INTERRUPTED, exit_code_of
from runners.system.interrupt import terminable
from runners.system.output import echo
from runners.system.progress import log_to_stderr
from runners.system.torchrun import is_first_process
from yolact_bench.findings import name_kinds
from yolact_bench.ranges import Threads


class _Group(typer.core.TyperGroup):
    """Commands of which one option, --strict, may stand alone."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # typer's own class is private
        return super().parse_args(ctx, name_kinds(args))


app = typer.Typer(
    cls=_Group,
    name="yolact-bench",
    help="What does changing one part of YOLACT++ do to accuracy, speed, memory and cost?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def start(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Warnings and errors only.")] = False,
    threads: Annotated[
        int | None,
        number(Threads, help="CPU threads for torch. Default: torch's own."),
    ] = None,
) -> None:
    """Set up logging, for every command."""
    level = logging.WARNING if quiet else None
    log_to_stderr(level=level if is_first_process() else logging.ERROR)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "run": callback(spec_commands.RunCommand, "run:run"),
    "plan": callback(spec_commands.PlanCommand, "plan:plan"),
    "check": callback(spec_commands.CheckCommand, "specs:check"),
    "train": callback(arm_commands.TrainCommand, "arm:train"),
    "evaluate": callback(arm_commands.EvaluateCommand, "arm:evaluate"),
    "latency": callback(arm_commands.LatencyCommand, "timing:latency"),
    "profile": callback(arm_commands.ProfileCommand, "timing:profile"),
    "sweep": callback(spec_commands.SweepCommand, "sweep:sweep"),
    "report": report_commands.report,
    "predict": callback(arm_commands.PredictCommand, "predict:predict"),
    "import-weights": callback(arm_commands.ImportWeightsCommand, "inputs:import_weights"),
    "list": report_commands.list_,
    "compare": report_commands.compare,
    "export-results": report_commands.export_results,
    "gc": workdir_commands.gc,
    "doctor": workdir_commands.doctor,
}
for name, function in COMMANDS.items():
    app.command(name)(function)
workdir_commands.data.command("convert")(conversion_commands.convert)
workdir_commands.data.command("split")(conversion_commands.split)
app.add_typer(workdir_commands.data, name="data")
app.add_typer(workdir_commands.track, name="track")


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2."""
    try:
        with terminable():
            code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = exit_code_of(error)
    if code == INTERRUPTED and is_first_process():
        echo("interrupted; the same command resumes where this one stopped", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
