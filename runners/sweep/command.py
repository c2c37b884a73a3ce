"""What `yolact-bench sweep` does: check, tell what it would cost, search, confirm."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from runners.executors import Executor, Placement, make_executor
from runners.sweep.confirm import confirm
from runners.sweep.flow import Checked, SweepBench, check_sweep, run_sweep
from runners.timing.records import Timing
from runners.tracking.mlflow_tracker import MlflowTracker
from runners.units.settings import parse_settings
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
class Request:
    """A sweep as asked for on the command line."""

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


def checked(request: Request) -> Checked:
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
    """Check a sweep without running it, and say so; its data need not be on this machine.

    Raises:
        SpecError: whatever is wrong with it.
    """
    spec = load_sweep(path, budget=budget)
    place = Workplace(work_dir=Path(), device="cpu", workers=0)
    missing = ""
    try:
        found = check_sweep(spec, place, data_root)
    except MissingDataError as error:
        found = check_sweep(spec, place, None, data=False)
        missing = f"; not here: {str(error).removeprefix(spec.where('base') + ': ')}"
    return f"{path}: {len(found.borders)} borders of the space are right{missing}"


def plan_lines(found: Checked) -> list[str]:
    """Return what a sweep would do, as lines for people."""
    spec = found.spec
    sought = ", ".join(f"{'max' if o.maximise else 'min'} {o.metric}" for o in spec.objectives)
    work = "a training each" if spec.trains else "no training but the base's"
    if spec.replays:
        work += "; all are scored from one stored forward pass"
    lines = [
        f"{spec.name}: {spec.question}",
        f"base {spec.base} on {spec.dataset}; {spec.mode}: {sought}",
        f"{spec.trials} trials, {work}",
        f"sampler {spec.sampler} (seed {spec.sampler_seed}), pruner {spec.pruner}",
    ]
    if spec.latency.budget_ms is not None and spec.mode == "budget":
        lines.append(f"budget: {spec.latency.budget_ms:g} ms, measured before the training")
    lines += [f"  {name}: {domain}" for name, domain in parameters(spec.space).items()]
    return lines


def sweep(request: Request, found: Checked) -> Sweep:
    """Carry out a checked sweep and, if asked, run its best again with more seeds.

    Raises:
        SpecError, ArmError, KeyboardInterrupt: as `run_sweep`.
    """
    place, command = request.place, _command(request)
    smoke = request.budget == "smoke"
    timing = Timing(rounds=2, max_seconds=4.0) if smoke else Timing(rounds=request.rounds)
    store = place.store

    def start_workers() -> Executor:
        made = make_executor(
            request.placement,
            work_dir=place.work_dir,
            device=place.device,
            chosen=request.device_chosen,
            workers=True,
        )
        assert made is not None, "asked for workers"
        return made

    with hold_lock(place.work_dir, command=command):
        with closing(MlflowTracker(place.work_dir)) as tracker:
            bench = SweepBench(
                place=place,
                store=store,
                tracker=tracker,
                timing=timing,
                data_root=request.data_root,
                storage=request.storage,
                make_executor=start_workers,
            )
            ended = run_sweep(found, bench, command=command)
        if request.confirm_seeds is None:
            return ended
        with closing(MlflowTracker(place.work_dir)) as tracker:
            return confirm(
                found.spec,
                ended,
                replace(bench, tracker=tracker),
                seeds=request.confirm_seeds,
                command=command,
            )


def _command(request: Request) -> str:
    """The command as a reader would repeat it: relative to the repository, no machine paths."""
    file = request.spec if not request.spec.is_absolute() else Path(request.spec.name)
    words = ["yolact-bench", "sweep", str(file)]
    words += [word for setting in request.settings for word in ("--set", setting)]
    words += ["--trials", str(request.trials)] if request.trials else []
    words += ["--budget", request.budget] if request.budget != FULL else []
    words += ["--confirm", str(request.confirm_seeds)] if request.confirm_seeds else []
    return " ".join(words)
