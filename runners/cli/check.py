"""What `yolact-bench check` does: every arm and every corner of a search space, unrun."""

import sys
from pathlib import Path

import typer

from runners.cli.spec_commands import CheckCommand
from runners.cli.specs import check_texts
from runners.planning.plan import check_arms
from runners.units.check import check as check_run
from yolact_bench.build import program_fault
from yolact_bench.errors import MissingDataError
from yolact_bench.results.text import count
from yolact_bench.spec.ablation import Arm, load
from yolact_bench.spec.sweep.sweep import is_sweep


def check(command: CheckCommand) -> None:
    """Print one line per spec; a data set that is not on this machine is no mistake.

    Raises:
        SpecError: the first mistake.
    """
    for spec in command.specs:
        if is_sweep(spec):
            from runners.cli.sweep import check_file  # which loads optuna

            line = check_file(spec, budget=command.budget, data_root=command.data_root)
        else:
            line = _check_ablation(spec, command)
        typer.echo(line)


def _check_ablation(spec: Path, command: CheckCommand) -> str:
    ablation = load(spec, budget=command.budget)
    check_texts(ablation)
    missing = dict.fromkeys(filter(None, (_check(arm, command.data_root) for arm in ablation.arms)))
    check_arms(ablation)
    for row in ablation.external:
        absent = row.missing(seed=ablation.seeds[0], default_python=sys.executable)
        missing |= {f"{row.name}: {absent}": None} if absent else {}
    external = f" and {len(ablation.external)} external" if ablation.external else ""
    notes = [f"; missing here: {what}" for what in missing]
    faults = (program_fault(arm.run, "cpu") for arm in ablation.arms)
    notes += [f"; cannot run here: {fault}" for fault in dict.fromkeys(faults) if fault]
    return f"{spec}: {count(len(ablation.arms), 'arm')}{external} OK{''.join(notes)}"


def _check(arm: Arm, data_root: Path | None) -> str:
    """Check one arm; return which of its files are missing, or nothing."""
    try:
        check_run(arm.run, where=arm.where, data_root=data_root, device="cpu")
    except MissingDataError as error:
        check_run(arm.run, where=arm.where, data_root=None, device="cpu", data=False)
        return str(error).removeprefix(f"{arm.where}: ")
    return ""
