"""A sweep as tables: the best trials, what did not end well, every trial as CSV."""

import csv
import io
import shlex
from collections.abc import Mapping

import yaml

from reports.sweeps.numbers import base_value, ranked, short_choices, unit, value
from reports.tables.cells import DASH, FEW
from reports.tables.table import Table
from yolact_bench.results.sweep import Sweep, Trial
from yolact_bench.results.text import duration

SHOWN = 10
_LISTED = 40  # failures: what is in no table is in trials.csv
_BESIDE = ("mask_ap", "latency_ms", "latency_ratio")  # shown if measured, though not sought


def best_trials(sweep: Sweep) -> Table:
    """Return the base and the best trials; of several objectives the whole front."""
    shown = [t for i, t in enumerate(ranked(sweep)) if i < SHOWN or t.number in sweep.best]
    sought = [objective.metric for objective in sweep.objectives]
    beside = [
        metric
        for metric in _BESIDE
        if metric not in sought and any(value(trial, metric) is not None for trial in shown)
    ]
    came = any(trial.origin for trial in shown)
    columns = ["trial"]
    for metric in sought:
        columns += [unit(metric).words, "Δ"]
    columns += [
        *(unit(metric).words for metric in beside),
        "choices",
        *(["asked by"] if came else []),
    ]
    rows = [tuple(_cells(trial, sweep, sought, beside, came=came)) for trial in shown]
    if shown and sweep.baseline:
        rows.insert(0, tuple(_base(sweep, sought, beside, came=came)))
    return Table(
        title="The best trials" if len(sought) == 1 else "The front, and the trials next to it",
        columns=tuple(columns),
        rows=tuple(rows),
        baseline=0 if shown and sweep.baseline else None,
        words=frozenset({0, columns.index("choices"), len(columns) - 1}),
        bold=frozenset((i, 0) for i, row in enumerate(rows) if row[0].endswith("★")),
        notes=(_star(sweep), _of_all(sweep, len(shown)), *_unknown(sweep)) if rows else (),
    )


def failures(sweep: Sweep) -> Table:
    """Return the trials that failed, each with its reason."""
    failed = [trial for trial in sweep.trials if trial.state == "failed"]
    rows = [
        (
            str(trial.number),
            " ".join(trial.reason.split()) or "no reason recorded",
            short_choices(trial) or FEW,
            FEW if trial.seconds is None else duration(trial.seconds, days=False),
        )
        for trial in failed[:_LISTED]
    ]
    more = len(failed) - len(rows)
    return Table(
        title="Failed trials",
        columns=("trial", "reason", "choices", "after"),
        rows=tuple(rows),
        words=frozenset({0, 1, 2}),
        notes=(f"{more} more are in trials.csv.",) if more else (),
    )


def commands(sweep: Sweep) -> tuple[tuple[str, str], ...]:
    """Return label and command of the best trials: what measures each again, exactly."""
    chosen = [t for i, t in enumerate(ranked(sweep)) if i < 3 or t.number in sweep.best]
    return tuple((f"trial {trial.number}", command(sweep, trial)) for trial in chosen[:SHOWN])


def command(sweep: Sweep, trial: Trial) -> str:
    """Return the shell line that trains a trial, where trials train, and evaluates it."""
    settings = {**sweep.settings, **trial.changes}
    changed = [f"--set {shlex.quote(f'{path}={_yaml(v)}')}" for path, v in settings.items()]
    rest = " ".join([shlex.quote(sweep.base), "--dataset", shlex.quote(sweep.dataset), *changed])
    evaluate = f"yolact-bench evaluate {rest}"
    return f"yolact-bench train {rest} && {evaluate}" if sweep.trains else evaluate


def trials_csv(sweep: Sweep) -> str:
    """Return a line for every trial, every number in full precision."""
    metrics = list(dict.fromkeys(name for trial in sweep.trials for name in trial.metrics))
    params = list(dict.fromkeys(name for trial in sweep.trials for name in trial.params))
    lines = [_line(sweep, trial, metrics, params) for trial in sweep.trials]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]) if lines else ["trial"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _line(
    sweep: Sweep, trial: Trial, metrics: list[str], params: list[str]
) -> Mapping[str, object]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "best": trial.number in sweep.best,
        **{name: trial.metrics.get(name) for name in metrics},
        **{f"param {name}": trial.params.get(name) for name in params},
        "seconds": trial.seconds,
        "last_iteration": trial.iterations[-1] if trial.iterations else None,
        "last_validation": trial.curve[-1] if trial.curve else None,
        "reason": trial.reason,
        "origin": trial.origin,
        "train_digest": trial.train_digest,
        "detect_digest": trial.detect_digest,
        "command": command(sweep, trial),
    }


def _cells(
    trial: Trial, sweep: Sweep, sought: list[str], beside: list[str], *, came: bool
) -> list[str]:
    cells = [f"{trial.number}{' ★' if trial.number in sweep.best else ''}"]
    for metric in sought:
        base = base_value(sweep, metric)
        cells.append(unit(metric).text(trial.metrics[metric]))
        cells.append(FEW if base is None else unit(metric).delta(trial.metrics[metric], base))
    cells += [_text(metric, value(trial, metric)) for metric in beside]
    cells.append(short_choices(trial) or "as the base")
    return [*cells, trial.origin or "sampler"] if came else cells


def _base(sweep: Sweep, sought: list[str], beside: list[str], *, came: bool) -> list[str]:
    cells = ["base"]
    for metric in sought:
        cells += [_text(metric, base_value(sweep, metric)), ""]
    cells += [_text(metric, base_value(sweep, metric), "") for metric in beside]
    return [*cells, sweep.base, *([""] if came else [])]


def _text(metric: str, found: float | None, absent: str = DASH) -> str:
    return absent if found is None else unit(metric).text(found)


def _star(sweep: Sweep) -> str:
    if len(sweep.objectives) == 1:
        return "★ the best trial. Δ: to the base."
    return "★ on the front: no other trial is better in every objective. Δ: to the base."


def _of_all(sweep: Sweep, shown: int) -> str:
    count = len(ranked(sweep))
    more = f"{shown} of {count} complete trials; all are in trials.csv" if count > shown else ""
    return f"{more}, numbers in full precision." if more else ""


def _unknown(sweep: Sweep) -> tuple[str, ...]:
    missing = [o.metric for o in sweep.objectives if base_value(sweep, o.metric) is None]
    named = ", ".join(unit(metric).words for metric in missing)
    return (f"{named} of the base itself: not known.",) if missing else ()


def _yaml(choice: object) -> str:
    """One line of YAML: Python's 1e-05 would be read as a word."""
    text = yaml.safe_dump(choice, default_flow_style=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()
