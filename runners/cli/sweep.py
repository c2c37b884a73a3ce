"""What `yolact-bench sweep` does: check, describe, search, confirm."""

import json
import logging
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import typer

from reports.pages.build import build
from reports.sweeps.build import build_sweep, render_sweep
from runners.cli.spec_commands import SweepCommand
from runners.cli.terminal import print_fitted
from runners.cli.workplace import executor_request
from runners.executors import make_workers
from runners.planning.choices import check_space_choices
from runners.sweep.check import CheckedSweep, check_sweep
from runners.sweep.confirm import confirm
from runners.sweep.flow import SweepContext, run_sweep
from runners.system.exit_codes import FAILED_ARMS
from runners.system.output import echo
from runners.system.torchrun import refuse_torchrun
from runners.tracking.tracker import Tracker
from runners.units.settings import parse_settings
from runners.units.workplace import Workplace
from runners.workdir.leftovers import hold_work_dir
from yolact_bench.errors import MissingDataError
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.budget import find_budget
from yolact_bench.spec.sweep.space import parameters
from yolact_bench.spec.sweep.sweep import load_sweep

log = logging.getLogger(__name__)

_SMOKE_TRIALS = 3


def sweep(command: SweepCommand) -> None:
    """Check a sweep, run it and write its report; on request run its best trials again.

    Exit 3 if trials were lost, twice each, and nothing could replace them.

    Raises:
        SpecError, ArmError, KeyboardInterrupt: as `run_sweep`.
    """
    refuse_torchrun("sweep")
    checked = _check(command)
    lines = plan_lines(checked)
    if command.dry_run:
        echo("\n".join(lines))
        return
    for line in lines:
        log.info(line)
    result = _search(command, checked)
    if result.confirm and command.confirm is not None:
        build(command.work_dir, result.confirm)
    folder, written = build_sweep(command.work_dir, result.name)
    if command.as_json:
        echo(json.dumps(asdict(result)))
    else:
        print_fitted(partial(render_sweep, written))
    echo(f"report: {folder / 'report.html'}", err=True)
    if lost := lost_for_good(result):
        numbers = ", ".join(map(str, lost))
        log.error("the space has no other choices in place of the lost trials %s", numbers)
        raise typer.Exit(FAILED_ARMS)


def lost_for_good(sweep: Sweep) -> tuple[int, ...]:
    """Return the lost trials whose choice never ended, where there are too few others."""
    ended = [trial for trial in sweep.trials if trial.state not in ("lost", "running")]
    if len(ended) - sweep.states["skipped"] >= sweep.num_trials:
        return ()
    choices = [trial.params for trial in ended]
    lost = [trial for trial in sweep.trials if trial.state == "lost"]
    return tuple(trial.number for trial in lost if trial.params not in choices)


def check_file(path: Path, *, budget: str, data_root: Path | None) -> str:
    """Check a sweep without running it and return the verdict; its data need not be here.

    Raises:
        SpecError: whatever is wrong with it.
    """
    spec = load_sweep(path, budget=budget, check=check_space_choices)
    place = Workplace(work_dir=Path(), device="cpu", workers=0, keeps_cache=False)
    missing = ""
    try:
        checked = check_sweep(spec, place, data_root)
    except MissingDataError as error:
        checked = check_sweep(spec, place, None, data=False)
        missing = f"; data not found: {str(error).removeprefix(spec.where('base') + ': ')}"
    return f"{path}: checked {len(checked.corners)} corner points of the search space{missing}"


def plan_lines(checked: CheckedSweep) -> list[str]:
    """Return what a sweep would do, as lines of text."""
    spec = checked.spec
    objectives = ", ".join(f"{'max' if o.maximise else 'min'} {o.metric}" for o in spec.objectives)
    work = "one training each" if spec.trains else "no training except the base's"
    if spec.replays:
        work += "; all are scored from one stored forward pass"
    lines = [
        f"{spec.name}: {spec.question}",
        f"base {spec.base} on {spec.dataset}; {spec.mode}: {objectives}",
        f"{spec.trials} trials, {work}",
        f"sampler {spec.sampler} (seed {spec.sampler_seed}), pruner {spec.pruner}",
    ]
    if spec.budget_ms is not None:
        lines.append(f"budget: {spec.budget_ms:g} ms, measured before training")
    return lines + [f"  {name}: {domain}" for name, domain in parameters(spec.space).items()]


def _check(command: SweepCommand) -> CheckedSweep:
    trials = command.trials
    if trials is None and find_budget(command.budget).rehearsal:
        trials = _SMOKE_TRIALS
    settings = parse_settings(command.settings or ())
    spec = load_sweep(
        command.spec,
        settings=settings,
        trials=trials,
        budget=command.budget,
        check=check_space_choices,
    )
    return check_sweep(spec, command.place, command.data_root)


def _search(command: SweepCommand, checked: CheckedSweep) -> Sweep:
    place = command.place
    with hold_work_dir(place.work_dir, command=command.text):
        with closing(Tracker(place.work_dir)) as tracker:
            at = SweepContext(
                place=place,
                tracker=tracker,
                timing=command.timing,
                data_root=command.data_root,
                storage=command.storage,
                make_executor=partial(make_workers, executor_request(command)),
            )
            result = run_sweep(checked, at, command=command.text)
        if command.confirm is None:
            return result
        with closing(Tracker(place.work_dir)) as tracker:
            return confirm(
                checked.spec,
                result,
                replace(at, tracker=tracker),
                seeds=command.confirm,
                command=command.text,
            )
