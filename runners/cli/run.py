"""What `yolact-bench run` does: plan, run, report, and the exit code of the result."""

import json
import logging
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from reports.pages.build import Report, build
from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.cli.specs import SpecOptions
from runners.cli.terminal import print_summary
from runners.executors import Placement, make_executor
from runners.planning.cost import estimate
from runners.planning.plan import Plan
from runners.planning.rates import UserRates
from runners.planning.text.ablation import plan_facts, plan_lines
from runners.system.exit_codes import FAILED_ARMS, INVALID, UNMET
from runners.system.torchrun import refuse_torchrun
from runners.timing.records import SMOKE_LIMITS, TimingLimits
from runners.tracking.mlflow_tracker import MlflowTracker
from runners.units.settings import command_text
from runners.units.workplace import Workplace
from runners.workdir.lock import hold_lock
from yolact_bench.results.sessions import why_times_invalid
from yolact_bench.spec.budget import FULL

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """An ablation to run, and how."""

    spec: Path
    options: SpecOptions
    place: Workplace
    placement: Placement
    device_chosen: bool  # the user named the device, and wants no other
    rates: UserRates  # of training, for the estimate
    rounds: int | None = None  # None: until the intervals are narrow
    sizes: bool = False
    retry_failed: bool = False
    latency_first: bool = False
    verbose: bool = False
    dry_run: bool = False
    as_json: bool = False

    @property
    def smoke(self) -> bool:
        """Whether the run only shows that everything works."""
        return self.options.budget == "smoke"

    @property
    def command(self) -> str:
        """The command as a reader would repeat it: without the paths of this machine."""
        options = self.options
        budget = None if options.budget == FULL else options.budget
        chosen = {"--seeds": options.seeds, "--budget": budget}
        text = command_text("run", self.spec, options.settings, chosen)
        return text + (" --latency-first" if self.latency_first else "")


def run(request: RunRequest) -> None:
    """Run an ablation and write its report.

    Exit 3 if an arm failed, 5 if the times do not count, 4 if an expectation is not met.
    """
    refuse_torchrun("run")
    store = request.place.store
    plan = request.options.plan(request.spec, request.place, store)
    cost = estimate(plan, request.place, store, given=request.rates)
    facts = plan_facts(plan, cost)
    if request.dry_run:
        typer.echo(json.dumps(facts) if request.as_json else "\n".join(plan_lines(plan, cost)))
        return
    for line in plan_lines(plan, cost):
        log.info(line)
    report = _run_and_report(request, plan)
    times_invalid = ""
    if "latency" in plan.ablation.measure:
        times_invalid = why_times_invalid(
            store, [step.unit.run.detect_digest for step in plan.steps]
        )
    if request.as_json:
        typer.echo(json.dumps({**facts, **_report_facts(report, times_invalid)}))
    else:
        print_summary(report.summary, notes=request.verbose)
        typer.echo(f"report: {report.folder / 'report.html'}", err=True)
    _exit_by(report, times_invalid)


def _run_and_report(request: RunRequest, plan: Plan) -> Report:
    place = request.place
    with (
        hold_lock(place.work_dir, command=request.command),
        closing(MlflowTracker(place.work_dir)) as tracker,
    ):
        context = AblationContext(
            place=replace(place, validate_every=0) if request.smoke else place,
            tracker=tracker,
            timing=SMOKE_LIMITS if request.smoke else TimingLimits(rounds=request.rounds),
            retry_failed=request.retry_failed,
            sizes=request.sizes,
            latency_first=request.latency_first,
            executor=make_executor(
                request.placement,
                work_dir=place.work_dir,
                device=place.device,
                chosen=request.device_chosen,
            ),
        )
        name = run_ablation(plan, context, command=request.command).name
        report = build(place.work_dir, name)
        tracker.log_artifacts(report.folder)
    return report


def _report_facts(report: Report, times_invalid: str) -> dict[str, object]:
    return {
        "report": str(report.folder),
        "failures": [failure.message for failure in report.failures],
        "times_invalid": times_invalid,
        "expectations": {outcome.text: outcome.met for outcome in report.outcomes},
    }


def _exit_by(report: Report, times_invalid: str) -> None:
    """Log what went wrong and exit with the code of the gravest; return if nothing did."""
    for failure in report.failures:
        log.error(
            "%s: failed in %s (%s): %s", failure.arm, failure.phase, failure.kind, failure.message
        )
    unmet = [outcome.text for outcome in report.outcomes if not outcome.met]
    for text in unmet:
        log.error("expectation not met: %s", text)
    if report.failures:
        raise typer.Exit(FAILED_ARMS)
    if times_invalid:
        log.error("the times do not count: %s; they are stored, marked as invalid", times_invalid)
        raise typer.Exit(INVALID)
    if unmet:
        raise typer.Exit(UNMET)
