"""What has been searched in a work directory, a row for each sweep. Loads no torch."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from yolact_bench.results import sweep as sweeps
from yolact_bench.results.sweep import Sweep
from yolact_bench.spec.budget_names import FULL, proxy_mark
from yolact_bench.text import NOT_AVAILABLE, align, metric_value
from yolact_bench.work_names import SWEEPS

_HEADS = ("sweep", "mode", "trials", "best", "when", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """One sweep, and how far it is."""

    name: str
    mode: str
    question: str
    num_trials: int  # in the spec
    states: dict[str, int]  # how many trials are in each, of those states that occur
    # Of the best trial: each objective as recorded, AP as a fraction. Of a front, as many trials.
    best: dict[str, float]
    on_front: int
    when: str
    budget: str


def sweep_lines(work_dir: Path) -> Iterator[str]:
    """Yield the sweeps as a text table."""
    rows = _rows(work_dir)
    if not rows:
        yield f"no sweeps in {work_dir}"
        return
    yield from align([_HEADS, *map(_cells, rows)], indent=0)


def sweep_facts(work_dir: Path) -> dict[str, object]:
    """Return the sweeps as plain data."""
    return {"sweeps": [asdict(row) for row in _rows(work_dir)]}


def _rows(work_dir: Path) -> list[SweepRow]:
    files = sweeps.FILE.in_folders_of(work_dir / SWEEPS)
    return [_row(sweeps.load(file)) for file in files]


def _row(sweep: Sweep) -> SweepRow:
    trials = {trial.number: trial for trial in sweep.trials}
    best = trials[sweep.best[0]].metrics if sweep.best else {}
    sought = [objective.metric for objective in sweep.objectives]
    return SweepRow(
        name=sweep.name,
        mode=sweep.mode,
        question=sweep.question,
        num_trials=sweep.num_trials,
        states=dict(sweep.states.most_common()),
        best={metric: best[metric] for metric in sought if metric in best},
        on_front=len(sweep.best),
        when=sweep.time[:16].replace("T", " "),
        budget=sweep.proxy or FULL,
    )


def _cells(row: SweepRow) -> tuple[str, ...]:
    counts = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in row.states.items())
    trials = f"{sum(row.states.values())}" + (f" ({counts})" if counts else "")
    best = ", ".join(f"{name} {metric_value(name, value)}" for name, value in row.best.items())
    if row.on_front > 1:
        best = f"{row.on_front} on the front"
    name = row.name + proxy_mark(row.budget)
    return name, row.mode, trials, best or NOT_AVAILABLE, row.when, row.question
