"""How commands read and check specs."""

import logging
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reports.summary.paper import check_paper
from runners.cli.command import SpecOptions
from runners.cli.spec_commands import CheckCommand, PlanCommand, RunCommand
from runners.planning.arm_checks import check_arms, check_each, remedies_of, side_effects_of
from runners.planning.choices import check_arm_choices
from runners.planning.plan import Plan, make_plan
from runners.system.output import echo
from runners.units.check import check as check_run
from runners.units.settings import parse_settings
from yolact_bench.build import program_fault
from yolact_bench.errors import Faults, MissingDataError, SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.expect import check_expectation
from yolact_bench.spec.ablation import Ablation, Arm, load
from yolact_bench.spec.sweep.sweep import is_sweep
from yolact_bench.text import count

log = logging.getLogger(__name__)


def load_spec(spec: Path, options: SpecOptions) -> Ablation:
    """Return the ablation in a file.

    Raises:
        SpecError: a mistake in the file or in the options.
    """
    settings = parse_settings(options.settings or ())
    return load(
        spec,
        settings=settings,
        seeds=options.seeds,
        budget=options.budget,
        check=partial(_check_rest, spec),
    )


def plan_spec(spec: Path, command: RunCommand | PlanCommand) -> Plan:
    """Return the plan of an ablation, all of it checked.

    Raises:
        SpecError: whatever could be known to fail before the first arm trains.
    """
    ablation = load_spec(spec, command)
    log.info("checking %s", count(len(ablation.arms), "arm"))
    faults = Faults()
    with faults.part():
        check_texts(ablation)
    with faults.part():
        check_arms(ablation)
    faults.raise_any()
    return make_plan(
        ablation,
        place=command.place,
        data_root=command.data_root,
        only=command.only or (),
        timing=command.timing,
        retry_failed=command.retry_failed,
    )


def check_texts(ablation: Ablation) -> None:
    """Check the expectations of an ablation and the rows of a paper that it names.

    Raises:
        SpecError: an expectation that cannot be read or names an unknown arm, or unknown rows.
    """
    _check_texts(ablation.file, ablation.paper, ablation.paper_rows, ablation.expect, ablation.rows)


def _check_texts(
    file: str,
    paper: str | None,
    paper_rows: Mapping[str, str],
    expect: Sequence[str],
    rows: Sequence[str],
) -> None:
    faults = Faults()
    if paper is not None:
        try:
            check_paper(paper, list(paper_rows.values()))
        except SpecError as error:
            faults.add(error.at(file))
    for text in expect:
        try:
            check_expectation(text, rows)
        except SpecError as error:
            faults.add(error.at(f"{file}: expect"))
    faults.raise_any()


def _check_rest(file: Path, arms: Sequence[Arm], words: Mapping[str, Any]) -> None:
    """Check what can be checked of a spec that is wrong elsewhere."""
    faults = Faults()
    with faults.part():
        check_arm_choices(arms, words.get("baseline"))
    expect = words.get("expect", ()) if arms else ()  # which name arms
    with faults.part():
        rows = words.get("paper_rows", {})
        _check_texts(str(file), words.get("paper"), rows, expect, words["rows"])
    faults.raise_any()


def check(command: CheckCommand) -> None:
    """Print one line per spec, and its side effects; data that are not here are no mistake.

    Raises:
        SpecError: all that is wrong with all of them.
    """
    faults = Faults()
    for spec in command.specs:
        with faults.part():
            if is_sweep(spec):
                from runners.cli.sweep import check_file  # which loads optuna

                line = check_file(spec, budget=command.budget, data_root=command.data_root)
            else:
                line = _check_ablation(spec, command)
            echo(line)
    faults.raise_any()


def _check_ablation(spec: Path, command: CheckCommand) -> str:
    ablation = load(spec, budget=command.budget, check=partial(_check_rest, spec))
    faults, absent_of_arms = Faults(), list[str]()
    with faults.part():
        check_texts(ablation)
    with faults.part():
        absent_of_arms = check_each(ablation, partial(_check, data_root=command.data_root))
    with faults.part():
        check_arms(ablation)
    faults.raise_any()
    missing = dict.fromkeys(filter(None, absent_of_arms))
    for row in ablation.external:
        absent = row.missing(seed=ablation.seeds[0], default_python=sys.executable)
        missing |= {f"{row.name}: {absent}": None} if absent else {}
    external = f" and {len(ablation.external)} external" if ablation.external else ""
    notes = [f"; missing here: {what}" for what in missing]
    faulty = (program_fault(arm.run, "cpu") for arm in ablation.arms)
    notes += [f"; cannot run here: {fault}" for fault in dict.fromkeys(faulty) if fault]
    line = f"{spec}: {count(len(ablation.arms), 'arm')}{external} OK{''.join(notes)}"
    return "\n  ".join([line, *_side_effects(ablation)])


def _side_effects(ablation: Ablation) -> list[str]:
    runs = {arm.name: resolve_architecture(arm.run, files=False) for arm in ablation.arms}
    remedies = remedies_of(ablation, runs)
    keep = f"to keep the baseline's value, write {', '.join(remedies)}"
    return side_effects_of(ablation, runs) + ([f"({keep})"] if remedies else [])


def _check(arm: Arm, data_root: Path | None) -> str:
    """Check one arm; return which of its files are missing, or nothing."""
    try:
        check_run(arm.run, where=arm.where, data_root=data_root, device="cpu")
    except SpecError as error:
        parts = error.parts or (error,)
        missing = next((one for one in parts if isinstance(one, MissingDataError)), None)
        if missing is None:
            raise
        check_run(arm.run, where=arm.where, data_root=None, device="cpu", data=False)
        return str(missing).removeprefix(f"{arm.where}: ")
    return ""
