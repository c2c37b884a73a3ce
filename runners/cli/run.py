"""What `yolact-bench run` does: plan, run, report, and the exit code of the result."""

import json
import logging
from contextlib import closing
from dataclasses import replace
from functools import partial

import typer

from reports.pages.build import Report, build
from reports.pages.terminal import render
from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.cli.spec_commands import RunCommand
from runners.cli.specs import plan_spec
from runners.cli.terminal import print_fitted
from runners.cli.workplace import executor_request
from runners.executors import make_executor
from runners.planning.cost import estimate
from runners.planning.plan import Plan
from runners.planning.text.ablation import plan_facts, plan_lines
from runners.planning.user_rates import UserRates
from runners.system.exit_codes import FAILED_ARMS, INVALID, UNMET
from runners.system.output import echo
from runners.system.torchrun import refuse_torchrun
from runners.tracking.tracker import Tracker
from runners.workdir.leftovers import hold_work_dir
from yolact_bench.results.sessions import why_times_invalid
from yolact_bench.spec.budget_names import BUDGETS

log = logging.getLogger(__name__)


def run(command: RunCommand) -> None:
    """Run an ablation and write its report.

    Exit 3 if an arm failed, 5 if the times do not count, 4 if an expectation is not met.
    """
    refuse_torchrun("run")
    place = command.place
    plan = plan_spec(command.spec, command)
    cost = estimate(plan, place, UserRates(every=command.images_per_second))
    facts = plan_facts(plan, cost)
    if command.dry_run:
        echo(json.dumps(facts) if command.as_json else "\n".join(plan_lines(plan, cost)))
        return
    for line in plan_lines(plan, cost):
        log.info(line)
    report = _run_and_report(command, plan)
    times_invalid = ""
    if "latency" in plan.ablation.measure:
        times_invalid = why_times_invalid(
            place.store, [step.unit.run.detect_digest for step in plan.steps]
        )
    if command.as_json:
        outcome = {
            "report": str(report.folder),
            "failures": [failure.message for failure in report.summary.failures],
            "times_invalid": times_invalid,
            "expectations": {outcome.text: outcome.met for outcome in report.summary.outcomes},
        }
        echo(json.dumps({**facts, **outcome}))
    else:
        print_fitted(partial(render, report.summary, notes=command.verbose))
        echo(f"report: {report.folder / 'report.html'}", err=True)
    _exit_by(report, times_invalid)


def _run_and_report(command: RunCommand, plan: Plan) -> Report:
    place, rehearsal = command.place, BUDGETS[command.budget].rehearsal
    with (
        hold_work_dir(place.work_dir, command=command.text),
        closing(Tracker(place.work_dir)) as tracker,
    ):
        context = AblationContext(
            place=replace(place, validate_every=0) if rehearsal else place,
            tracker=tracker,
            timing=command.timing,
            retry_failed=command.retry_failed,
            sizes=command.sizes,
            latency_first=command.latency_first,
            executor=make_executor(executor_request(command)),
        )
        name = run_ablation(plan, context, command=command.text).name
        report = build(place.work_dir, name)
        tracker.log_artifacts(report.folder)
    return report


def _exit_by(report: Report, times_invalid: str) -> None:
    """Log what went wrong and exit with the code of the gravest; return if nothing did."""
    for failure in report.summary.failures:
        log.error(
            "%s: failed in %s (%s): %s", failure.arm, failure.phase, failure.kind, failure.message
        )
    unmet = [outcome.text for outcome in report.summary.outcomes if not outcome.met]
    for text in unmet:
        log.error("expectation not met: %s", text)
    if report.summary.failures:
        raise typer.Exit(FAILED_ARMS)
    if times_invalid:
        log.error("the times do not count: %s; they are stored, marked as invalid", times_invalid)
        raise typer.Exit(INVALID)
    if unmet:
        raise typer.Exit(UNMET)
