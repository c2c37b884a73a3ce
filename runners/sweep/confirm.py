"""The best trials of a sweep as an ordinary ablation, with more seeds and the base beside them.

The best of many trials on the same images is partly luck. Other seeds show how much of the gain
remains, with intervals and times of one session.
"""

from dataclasses import replace
from pathlib import Path

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.planning.plan import make_plan
from runners.sweep.flow import SweepContext
from yolact_bench.errors import SpecError
from yolact_bench.results.files import write_atomically
from yolact_bench.results.sweep import Sweep, Trial, save
from yolact_bench.spec.ablation import load
from yolact_bench.spec.options_to_keep import keep_nothing
from yolact_bench.spec.sweep.sweep import SweepSpec
from yolact_bench.work_names import CONFIRMATION, SWEEPS, inside
from yolact_bench.yaml_text import dump_yaml

_MOST_ARMS = 12  # of a front


def confirm(spec: SweepSpec, sweep: Sweep, at: SweepContext, *, seeds: int, command: str) -> Sweep:
    """Run the base and the best trials with seeds 0 … `seeds` - 1; return the sweep with its name.

    Raises:
        SpecError: no trial is complete.
    """
    folder = inside(at.place.work_dir / SWEEPS, spec.name)
    file = write_confirmation(spec, sweep, folder, seeds=seeds)
    ablation = replace(load(file), budget=spec.budget)  # its base has the shortened schedule
    plan = make_plan(ablation, place=at.place, data_root=at.data_root, timing=at.timing)
    context = AblationContext(
        place=at.place,
        tracker=at.tracker,
        timing=at.timing,
        executor=at.make_executor() if spec.trains else None,
    )
    manifest = run_ablation(plan, context, command=command)
    with_name = replace(sweep, confirm=manifest.name)
    save(with_name, folder)
    return with_name


def write_confirmation(spec: SweepSpec, sweep: Sweep, folder: Path, *, seeds: int) -> Path:
    """Write the ablation that confirms a sweep, and return its path.

    Raises:
        SpecError: no trial is complete, or the best is the base itself.
    """
    best = [trial for number in sweep.best for trial in sweep.trials if trial.number == number]
    if not best:
        raise SpecError(f"--confirm: no trial of {sweep.name} is complete; run the sweep first")
    changes = {trial.number: _differences(spec, trial) for trial in best}
    others = [number for number, of_trial in changes.items() if of_trial]
    if not others:
        raise SpecError(f"--confirm: the best of {sweep.name} is its base itself; run more trials")
    others = others[:: -(-len(others) // _MOST_ARMS)]  # spread over a long front
    _write_yaml(folder / "base.yaml", spec.run.as_dict())
    latency = spec.source.data.get("latency", {})
    assert isinstance(latency, dict)
    data = {
        "schema": 1,
        "name": f"{sweep.name}{CONFIRMATION}",
        "base": "base.yaml",
        "baseline": "base",
        "changes": sorted({path for number in others for path in changes[number]}),
        "seeds": list(range(seeds)),
        "measure": ["accuracy", "latency"],
        "latency": dict(latency),
        "arms": {"base": {}, **{f"trial_{number}": changes[number] for number in others}},
    }
    header = f"# Does the result of the sweep {sweep.name} hold with {seeds} seeds?\n"
    return _write_yaml(folder / "confirm.yaml", data, header)


def _differences(spec: SweepSpec, trial: Trial) -> dict[str, object]:
    """What a trial changes of the base: a factor that no arm changes is an error in a spec."""
    changes = keep_nothing(trial.changes)  # all that it had is in them
    return {
        path: value for path, value in changes.items() if spec.changed({path: value}) != spec.run
    }


def _write_yaml(file: Path, data: dict[str, object], header: str = "") -> Path:
    write_atomically(file, header + dump_yaml(data))
    return file
