"""A sweep as tables: the best trials, what did not end well, every trial as CSV."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.pages.sections import proxy_mark
from reports.sweeps.numbers import notation, ranking, short_choices, value
from reports.tables.cells import MISSING
from reports.tables.csv import csv_text
from reports.tables.table import Column, Table, number, tabulate, text
from yolact_bench.results.sweep import Sweep, Trial
from yolact_bench.spec.budget_names import FULL
from yolact_bench.spec.options_to_keep import keep_nothing, overlay
from yolact_bench.text import NOT_AVAILABLE, duration
from yolact_bench.yaml_text import dump_yaml

SHOWN = 10
_LISTED = 40  # failures: what is in no table is in trials.csv
_EXTRAS = ("mask_ap", "latency_ms", "latency_ratio")  # shown if measured, though no objective


def best_trials(sweep: Sweep) -> Table:
    """Return the base and the best trials; of several objectives the whole front."""
    trials = [t for i, t in enumerate(ranking(sweep)) if i < SHOWN or t.number in sweep.best]
    rows: list[Trial | None] = [*([None] if trials and sweep.base_metrics else []), *trials]
    metrics = [objective.metric for objective in sweep.objectives]
    extras = [
        metric
        for metric in _EXTRAS
        if metric not in metrics and any(value(t.metrics, metric) is not None for t in trials)
    ]
    title = "The best trials" if len(metrics) == 1 else "The front, and the trials next to it"
    return tabulate(
        title + proxy_mark(sweep),
        [
            _name(sweep),
            *(column for metric in metrics for column in _objective(sweep, metric)),
            *(_metric(sweep, metric, absent="") for metric in extras),
            text("choices", lambda t: short_choices(t) or "as the base" if t else sweep.base),
            *([text("proposed by", _origin)] if any(t.origin for t in trials) else []),
        ],
        rows,
        baseline=0 if trials and sweep.base_metrics else None,
        notes=(
            (_star(sweep), _of_all(sweep, len(trials)), *_unknown(sweep), *_sessions(trials))
            if rows
            else ()
        ),
    )


def failures(sweep: Sweep) -> Table:
    """Return the trials that failed, each with its reason."""
    failed = [trial for trial in sweep.trials if trial.state == "failed"]
    more = len(failed) - _LISTED
    return tabulate(
        "Failed trials",
        (
            text("trial", lambda t: str(t.number)),
            text("reason", lambda t: " ".join(t.reason.split()) or "no reason recorded"),
            text("choices", lambda t: short_choices(t) or NOT_AVAILABLE),
            number(
                "after",
                lambda t: NOT_AVAILABLE if t.seconds is None else duration(t.seconds, days=False),
            ),
        ),
        failed[:_LISTED],
        notes=(f"{more} more are in trials.csv.",) if more > 0 else (),
    )


def commands(sweep: Sweep) -> tuple[tuple[str, str], ...]:
    """Return label and command of the best trials: what measures each again, exactly."""
    best = [t for i, t in enumerate(ranking(sweep)) if i < 3 or t.number in sweep.best]
    return tuple((f"trial {trial.number}", command(sweep, trial)) for trial in best[:SHOWN])


def command(sweep: Sweep, trial: Trial) -> str:
    """Return the shell line that trains a trial, where trials train, and evaluates it."""
    settings = keep_nothing(overlay(sweep.settings, trial.changes))
    changed = [
        f"--set {shlex.quote(f'{path}={dump_yaml(value, one_line=True)}')}"
        for path, value in settings.items()
    ]
    rest = " ".join([shlex.quote(sweep.base), "--dataset", shlex.quote(sweep.dataset), *changed])
    evaluate = f"yolact-bench evaluate {rest}"
    return f"yolact-bench train {rest} && {evaluate}" if sweep.trains else evaluate


def trials_csv(sweep: Sweep) -> str:
    """Return a line for every trial, every number in full precision."""
    metrics = list(dict.fromkeys(name for trial in sweep.trials for name in trial.metrics))
    params = list(dict.fromkeys(name for trial in sweep.trials for name in trial.params))
    return csv_text([_line(sweep, trial, metrics, params) for trial in sweep.trials], ["trial"])


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
        "budget": sweep.proxy or FULL,
        "command": command(sweep, trial),
    }


def _name(sweep: Sweep) -> Column[Trial | None]:
    def is_best(trial: Trial | None) -> bool:
        return trial is not None and trial.number in sweep.best

    def name(trial: Trial | None) -> str:
        return "base" if trial is None else f"{trial.number}{' ★' if is_best(trial) else ''}"

    return replace(text("trial", name), leads=is_best)


def _objective(sweep: Sweep, metric: str) -> tuple[Column[Trial | None], ...]:
    """The columns of an objective: its value and the difference to the base."""
    base, of = value(sweep.base_metrics, metric), notation(metric)

    def delta(trial: Trial | None) -> str:
        if trial is None:
            return ""
        return of.delta(trial.metrics[metric], base) if base is not None else NOT_AVAILABLE

    return _metric(sweep, metric, absent=MISSING), number("Δ", delta)


def _metric(sweep: Sweep, metric: str, *, absent: str) -> Column[Trial | None]:
    """A metric of the trials and of the base; `absent` where that of the base is not known."""

    def cell(trial: Trial | None) -> str:
        amount = value(trial.metrics if trial else sweep.base_metrics, metric)
        if amount is None:
            return MISSING if trial else absent
        return notation(metric).text(amount)

    return number(notation(metric).words, cell)


def _origin(trial: Trial | None) -> str:
    return trial.origin or "sampler" if trial else ""


def _star(sweep: Sweep) -> str:
    if len(sweep.objectives) == 1:
        return "★ the best trial. Δ: to the base."
    return "★ on the front: no other trial is better in every objective. Δ: to the base."


def _of_all(sweep: Sweep, trials: int) -> str:
    count = len(ranking(sweep))
    more = f"{trials} of {count} complete trials; all are in trials.csv" if count > trials else ""
    return f"{more}, numbers in full precision." if more else ""


def _unknown(sweep: Sweep) -> tuple[str, ...]:
    missing = [o.metric for o in sweep.objectives if value(sweep.base_metrics, o.metric) is None]
    named = ", ".join(notation(metric).words for metric in missing)
    return (f"{named} of the base itself: not known.",) if missing else ()


def _sessions(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Say it where times are not relative to the base, as of budget sweeps of earlier versions."""
    times, ratios = (
        {trial.number for trial in trials if value(trial.metrics, metric) is not None}
        for metric in ("latency_ms", "latency_ratio")
    )
    alone = ", ".join(str(trial) for trial in sorted(times - ratios))
    words = f"latency of {alone}: from sessions of their own, which do not compare."
    return (words,) if alone else ()
