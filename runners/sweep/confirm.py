"""The best of a sweep once more, with more seeds, as an ordinary ablation with the base beside it.

The best of many trials on the same images is better by luck, too. Other seeds show how much of it
stays, with intervals and times of one session.
"""

from dataclasses import replace
from pathlib import Path

import yaml

from runners.ablation.context import AblationContext
from runners.ablation.flow import run_ablation
from runners.planning.plan import make_plan
from runners.sweep.flow import SweepBench
from yolact_bench.errors import SpecError
from yolact_bench.results.files import write_atomically
from yolact_bench.results.sweep import Sweep, save
from yolact_bench.spec.ablation import load
from yolact_bench.spec.sweep.sweep import SweepSpec

_MOST_ARMS = 12  # of a front


def confirm(spec: SweepSpec, sweep: Sweep, bench: SweepBench, *, seeds: int, command: str) -> Sweep:
    """Run the base and what is best with seeds 0 … `seeds` - 1; return the account with its name.

    Raises:
        SpecError: no trial is complete.
    """
    place = bench.place
    folder = place.work_dir / "sweeps" / spec.name
    file = write_confirmation(spec, sweep, folder, seeds=seeds)
    plan = make_plan(load(file), place=place, store=bench.store, data_root=bench.data_root)
    executor = bench.make_executor() if spec.trains else None
    ablation = AblationContext(
        place=place,
        tracker=bench.tracker,
        timing=bench.timing,
        executor=executor,
    )
    manifest = run_ablation(plan, ablation, command=command)
    confirmed = replace(sweep, confirm=manifest.name)
    save(confirmed, folder)
    return confirmed


def write_confirmation(spec: SweepSpec, sweep: Sweep, folder: Path, *, seeds: int) -> Path:
    """Write the ablation that confirms a sweep, and return its path.

    Raises:
        SpecError: no trial is complete.
    """
    best = [trial for number in sweep.best for trial in sweep.trials if trial.number == number]
    if not best:
        raise SpecError(f"--confirm: no trial of {sweep.name} is complete; there is nothing to run")
    chosen = best[:: -(-len(best) // _MOST_ARMS)]  # spread over a long front
    run_file = folder / "base.yaml"
    text = yaml.safe_dump(spec.run.as_dict(), sort_keys=False, allow_unicode=True)
    write_atomically(run_file, text)
    data = {
        "schema": 1,
        "name": f"{sweep.name}-confirm",
        "base": run_file.name,
        "baseline": "base",
        "changes": sorted({path for trial in chosen for path in trial.changes}),
        "seeds": list(range(seeds)),
        "measure": ["accuracy", "latency"],
        "latency": _latency(spec),
        "arms": {"base": {}, **{f"trial_{t.number}": dict(t.changes) for t in chosen}},
    }
    header = f"# Does what the sweep {sweep.name} found hold with {seeds} seeds?\n"
    file = folder / "confirm.yaml"
    body = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    write_atomically(file, header + body)
    return file


def _latency(spec: SweepSpec) -> dict[str, object]:
    written = spec.source.data.get("latency", {})
    assert isinstance(written, dict)
    return dict(written)
