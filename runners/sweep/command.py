"""What `yolact-bench sweep` does: check, describe, search, confirm."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from runners.executors import Executor, Placement, make_executor
from runners.sweep.confirm import confirm
from runners.sweep.flow import CheckedSweep, SweepContext, check_sweep, run_sweep
from runners.timing.records import SMOKE_LIMITS, TimingLimits
from runners.tracking.mlflow_tracker import MlflowTracker
from runners.units.settings import command_text, parse_settings
from runners.units.workplace import Workplace
from runners.workdir.lock import hold_lock
from yolact_bench.errors import MissingDataError, SpecError
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.budget import FULL
from yolact_bench.spec.sweep.space import parameters
from yolact_bench.spec.sweep.sweep import load_sweep

log = logging.getLogger(__name__)

_SMOKE_TRIALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """A sweep to run, and how."""

    spec: Path
    settings: Sequence[str]
    trials: int | None
    budget: str
    storage: str | None
    confirm_seeds: int | None
    place: Workplace
    placement: Placement
    device_chosen: bool
    data_root: Path | None
    rounds: int | None

    @property
    def command(self) -> str:
        """The command as a reader would repeat it: without the paths of this machine."""
        budget = None if self.budget == FULL else self.budget
        options = {"--trials": self.trials, "--budget": budget, "--confirm": self.confirm_seeds}
        return command_text("sweep", self.spec, self.settings, options)

    def start_workers(self) -> Executor:
        """Return where trials train."""
        executor = make_executor(
            self.placement,
            work_dir=self.place.work_dir,
            device=self.place.device,
            chosen=self.device_chosen,
            workers=True,
        )
        assert executor is not None, "workers=True"
        return executor


def check_request(request: SweepRequest) -> CheckedSweep:
    """Return the sweep of a request, its whole space checked.

    Raises:
        SpecError: whatever is wrong with it.
    """
    trials = request.trials
    if trials is not None and trials < 1:
        raise SpecError(f"--trials {trials}: expected 1 or more")
    if request.confirm_seeds is not None and request.confirm_seeds < 1:
        raise SpecError(f"--confirm {request.confirm_seeds}: expected 1 seed or more")
    if trials is None and request.budget == "smoke":
        trials = _SMOKE_TRIALS
    settings = parse_settings(request.settings)
    spec = load_sweep(request.spec, settings=settings, trials=trials, budget=request.budget)
    return check_sweep(spec, request.place, request.data_root)


def check_file(path: Path, *, budget: str, data_root: Path | None) -> str:
    """Check a sweep without running it and return the verdict; its data need not be here.

    Raises:
        SpecError: whatever is wrong with it.
    """
    spec = load_sweep(path, budget=budget)
    place = Workplace(work_dir=Path(), device="cpu", workers=0)
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
    if spec.latency.budget_ms is not None and spec.mode == "budget":
        lines.append(f"budget: {spec.latency.budget_ms:g} ms, measured before training")
    return lines + [f"  {name}: {domain}" for name, domain in parameters(spec.space).items()]


def sweep(request: SweepRequest, checked: CheckedSweep) -> Sweep:
    """Run a checked sweep and, on request, its best trials again with more seeds.

    Raises:
        SpecError, ArmError, KeyboardInterrupt: as `run_sweep`.
    """
    place, command = request.place, request.command
    smoke = request.budget == "smoke"
    timing = SMOKE_LIMITS if smoke else TimingLimits(rounds=request.rounds)
    with hold_lock(place.work_dir, command=command):
        with closing(MlflowTracker(place.work_dir)) as tracker:
            at = SweepContext(
                place=place,
                tracker=tracker,
                timing=timing,
                data_root=request.data_root,
                storage=request.storage,
                make_executor=request.start_workers,
            )
            result = run_sweep(checked, at, command=command)
        if request.confirm_seeds is None:
            return result
        with closing(MlflowTracker(place.work_dir)) as tracker:
            return confirm(
                checked.spec,
                result,
                replace(at, tracker=tracker),
                seeds=request.confirm_seeds,
                command=command,
            )
