"""What the commands of the command line do, apart from reports."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
import typer

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.cli.doctor import diagnose
from runners.evaluation.coco.score import engine_name
from runners.executors import Placement, make_executor
from runners.planning.cost import Estimate, estimate
from runners.planning.plan import Plan, check_claims, make_plan
from runners.planning.rates import GivenRates
from runners.planning.spec_checks import check_arms
from runners.planning.tasks import scale_plan
from runners.planning.text.ablation import plan_facts, plan_lines
from runners.planning.text.scaling import cost_lines, price_of, scaling_facts
from runners.system.exit_codes import FAILED_ARMS, INVALID, UNMET
from runners.system.torchrun import refuse_torchrun
from runners.timing.records import Timing
from runners.tracking import MlflowTracker
from runners.units.check import check as check_arm
from runners.units.settings import parse_settings
from runners.units.workplace import Workplace
from runners.workdir.lock import hold_lock
from yolact_bench.errors import MissingDataError, SpecError
from yolact_bench.results.expect import Outcome
from yolact_bench.results.record import Failure
from yolact_bench.results.sessions import why_times_invalid
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import load
from yolact_bench.spec.budget import FULL

log = logging.getLogger(__name__)


_SMOKE_TIMING = Timing(rounds=2, max_seconds=4.0)  # warm-up takes at most a quarter of the time

# Raises SpecError for a group of published rows, or rows of it, that no paper has.
CheckPaper = Callable[[str, Sequence[str]], None]


class Report(Protocol):
    """What `run` needs of a written report. Reports and runs meet in the command line only."""

    @property
    def folder(self) -> Path: ...
    @property
    def table(self) -> str: ...
    @property
    def failures(self) -> Sequence[Failure]: ...
    @property
    def outcomes(self) -> Sequence[Outcome]: ...


def workplace(
    work_dir: Path,
    device: str | None,
    workers: int | None,
    validate_every: int | None,
    max_store: float = 100.0,
    *,
    scoring: str = "pycocotools",
    eval_batch: int = 1,
    compile_training: bool = False,
    devices: int = 1,
) -> Workplace:
    """Return where and on what to work; `max_store` is in GB.

    Raises:
        SpecError: a device, or an engine to score with, that is not there.
    """
    engine_name(scoring)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        kind = torch.device(chosen).type
    except RuntimeError as error:
        raise SpecError(f"--device {chosen}: write cpu, cuda or cuda:N") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise SpecError(f"--device {chosen}: torch finds no CUDA device here; write --device cpu")
    # On a CPU the network leaves no core to others, unless it is told to.
    encoders = workers if workers is not None else 4 if kind == "cuda" else 0
    if workers is None:
        workers = 4 if kind == "cuda" else 1
    return Workplace(
        work_dir=work_dir,
        device=chosen,
        workers=workers,
        validate_every=validate_every,
        max_store=max_store * 1e9,
        encoders=encoders,
        eval_batch=eval_batch,
        scoring=scoring,
        compile_training=compile_training,
        devices=devices,
    )


def run(
    spec: Path,
    *,
    only: Sequence[str],
    settings: Sequence[str],
    seeds: int | None,
    budget: str,
    images_per_second: float | None,
    place: Workplace,
    placement: Placement,
    device_chosen: bool,
    data_root: Path | None,
    rounds: int | None,
    sizes: bool,
    retry_failed: bool,
    latency_first: bool,
    dry_run: bool,
    as_json: bool,
    write_report: Callable[[Path, str], Report],
    check_paper: CheckPaper,
) -> None:
    """Bring an ablation to its report.

    Exit 3 if an arm failed, 5 if the times do not count, 4 if an expectation is not met.
    """
    refuse_torchrun("run")
    store = place.store
    made = _plan(spec, only, settings, seeds, budget, place, store, data_root, check_paper)
    cost = estimate(made, place, store, given=GivenRates(every=images_per_second))
    if dry_run:
        _show_plan(made, cost, as_json=as_json)
        return
    for line in plan_lines(made, cost):
        log.info(line)
    command = _command(spec, settings, seeds, budget)
    command += " --latency-first" if latency_first else ""
    with (
        hold_lock(place.work_dir, command=command),
        closing(MlflowTracker(place.work_dir)) as tracker,
    ):
        bench = AblationContext(
            place=place if budget != "smoke" else replace(place, validate_every=0),
            store=store,
            tracker=tracker,
            timing=Timing(rounds=rounds) if budget != "smoke" else _SMOKE_TIMING,
            retry_failed=retry_failed,
            sizes=sizes,
            latency_first=latency_first,
            executor=make_executor(
                placement, work_dir=place.work_dir, device=place.device, chosen=device_chosen
            ),
        )
        name = run_ablation(made, bench, command=command).name
        report = write_report(place.work_dir, name)
        tracker.log_artifacts(report.folder)
    uncounted = _uncounted(made, store)
    if as_json:
        typer.echo(json.dumps(_report_facts(report, made, cost, uncounted)))
    else:
        typer.echo(report.table)
        typer.echo(f"report: {report.folder / 'report.html'}", err=True)
    for failure in report.failures:
        log.error(
            "%s: failed in %s (%s): %s", failure.arm, failure.phase, failure.kind, failure.message
        )
    unmet = [outcome for outcome in report.outcomes if not outcome.met]
    for outcome in unmet:
        log.error("expectation not met: %s", outcome.text)
    if report.failures:
        raise typer.Exit(FAILED_ARMS)
    refuse_uncounted(uncounted)
    if unmet:
        raise typer.Exit(UNMET)


def refuse_uncounted(reason: str) -> None:
    """Exit 5 with the reason why times do not count; do nothing without one."""
    if reason:
        log.error("the times do not count: %s; they were kept, marked as invalid", reason)
        raise typer.Exit(INVALID)


def plan(
    spec: Path,
    *,
    only: Sequence[str],
    settings: Sequence[str],
    seeds: int | None,
    budget: str,
    given: GivenRates,
    slots: int,
    devices: int,
    efficiency: float | None,
    price_per_hour: float | None,
    place: Workplace,
    data_root: Path | None,
    as_json: bool,
    check_paper: CheckPaper,
) -> None:
    """Print what `run` would do, and how long with `slots` trainings at once on `devices` each."""
    store = place.store
    made = _plan(spec, only, settings, seeds, budget, place, store, data_root, check_paper)
    cost = estimate(made, place, store, given=given)
    scale = scale_plan(made, cost, slots=slots, devices=devices, efficiency=efficiency)
    if as_json:
        facts = {"schedule": scaling_facts(scale), "price": price_of(scale, price_per_hour)}
        typer.echo(json.dumps({**plan_facts(made, cost), **facts}))
        return
    for line in [*plan_lines(made, cost), *cost_lines(scale, per_hour=price_per_hour)]:
        typer.echo(line)


def check(
    specs: Sequence[Path], *, budget: str, data_root: Path | None, check_paper: CheckPaper
) -> None:
    """Check every arm of every spec; data sets that are not on this machine are not opened."""
    for spec in specs:
        ablation = load(spec, budget=budget)
        check_claims(ablation, check_paper)
        missing = ""
        for arm in ablation.arms:
            try:
                check_arm(arm.run, where=arm.where, data_root=data_root, device="cpu")
            except MissingDataError as error:
                check_arm(arm.run, where=arm.where, data_root=None, device="cpu", data=False)
                missing = f"; not here: {str(error).removeprefix(f'{arm.where}: ')}"
        check_arms(ablation)
        for row in ablation.external:
            absent = row.missing(seed=ablation.seeds[0], default_python=sys.executable)
            missing += f"; not here: {row.name}: {absent}" if absent else ""
        others = f" and {len(ablation.external)} external" if ablation.external else ""
        typer.echo(f"{spec}: {len(ablation.arms)} arms{others} are right{missing}")


def doctor(work_dir: Path, data_root: Path | None) -> None:
    """Print every finding about this machine; exit 1 if something fails."""
    marks = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
    found = diagnose(work_dir, data_root)
    for fact in found:
        typer.echo(f"{marks[fact.state]}  {fact.name}: {fact.detail}")
        if fact.remedy:
            typer.echo(f"      → {fact.remedy}")
    if any(fact.state == "fail" for fact in found):
        raise typer.Exit(1)


def _plan(
    spec: Path,
    only: Sequence[str],
    settings: Sequence[str],
    seeds: int | None,
    budget: str,
    place: Workplace,
    store: Store,
    data_root: Path | None,
    check_paper: CheckPaper,
) -> Plan:
    ablation = load(spec, settings=parse_settings(settings), seeds=seeds, budget=budget)
    check_claims(ablation, check_paper)
    check_arms(ablation)
    return make_plan(ablation, place=place, store=store, data_root=data_root, only=only)


def _uncounted(made: Plan, store: Store) -> str:
    if "latency" not in made.ablation.measure:
        return ""
    return why_times_invalid(store, [step.unit.run.detect_digest for step in made.steps])


def _show_plan(made: Plan, cost: Estimate, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(plan_facts(made, cost)))
        return
    for line in plan_lines(made, cost):
        typer.echo(line)


def _report_facts(report: Report, made: Plan, cost: Estimate, uncounted: str) -> dict[str, object]:
    return {
        **plan_facts(made, cost),
        "report": str(report.folder),
        "failures": [failure.message for failure in report.failures],
        "times_invalid": uncounted,
        "expectations": {outcome.text: outcome.met for outcome in report.outcomes},
    }


def _command(spec: Path, settings: Sequence[str], seeds: int | None, budget: str) -> str:
    """The command as a reader would repeat it: relative to the repository, no machine paths."""
    file = spec if not spec.is_absolute() else Path(spec.name)
    words = ["yolact-bench", "run", str(file)]
    words += [word for setting in settings for word in ("--set", setting)]
    words += ["--seeds", str(seeds)] if seeds else []
    return " ".join(words + (["--budget", budget] if budget != FULL else []))
