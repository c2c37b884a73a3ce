"""The sentences of a sweep's page: headline, warnings and provenance.

One file: the sentences of one page, which must not contradict one another.
"""

import math
import re
from statistics import NormalDist

from reports.pages.sections import environment_lines
from reports.sweeps.numbers import (
    complete_trials,
    is_better,
    notation,
    ranking,
    short_choices,
    value,
)
from yolact_bench.results.sweep import Sweep, Trial
from yolact_bench.spec.sweep.keys import Objective
from yolact_bench.text import count, duration

_FEW = 20  # complete trials: shares of importance from fewer are little more than chance
# Of trials that do not count: they run, repeat a choice, or are tried again.
_OPEN = ("running", "skipped", "lost")
_WORDS = {"over_budget": "over budget", "lost": "lost and repeated"}


def headline(sweep: Sweep) -> tuple[str, ...]:
    """Return the result in sentences: what was found, and what it took."""
    result = f"proxy ({sweep.proxy} budget): " * bool(sweep.proxy) + _result(sweep)
    return (result[0].upper() + result[1:], _effort(sweep))


def warnings(sweep: Sweep) -> tuple[str, ...]:
    """Return what a reader must know before believing the result."""
    notes = []
    left = sweep.num_trials - sum(trial.state not in _OPEN for trial in sweep.trials)
    if left > 0:
        notes.append(f"Not finished: {left} of {count(sweep.num_trials, 'trial')} outstanding.")
    if sweep.proxy:
        notes.append(
            f"Proxy: with the {sweep.proxy} budget a shortened schedule replaces the full one; "
            "the commands below train the whole schedule."
        )
    if complete_trials(sweep):
        notes.append(_selection(sweep))
    if len(sweep.commits) > 1:
        notes.append(
            f"Times were taken at several commits: {', '.join(sweep.commits)}. Each is relative to "
            "the base in its own session, but faster code of one shows as a faster trial."
        )
    if failed := sweep.states["failed"]:
        notes.append(f"{count(failed, 'trial')} failed; the reasons are below.")
    return tuple(notes)


def importance_note(sweep: Sweep) -> str:
    """Return what the shares mean, and what they do not."""
    num_scored = len(complete_trials(sweep))
    few = (
        f" There are only {num_scored} complete trials; with fewer than {_FEW} the shares are "
        "little more than chance."
        if num_scored < _FEW
        else ""
    )
    return (
        "Share of the variation among the better trials that each parameter goes with, within the "
        "ranges searched. A small share means that the choice hardly matters there, not that the "
        "part does nothing; a wider range would give other shares. This is not causation: the "
        "sampler chose the trials, and parameters that were varied together share their effect."
        + few
    )


def provenance(sweep: Sweep) -> tuple[tuple[str, str], ...]:
    """Return what one must know to repeat the sweep."""
    facts = [
        ("command", sweep.command),
        ("base, data", f"{sweep.base} on {sweep.dataset}"),
        ("mode", _mode(sweep)),
        ("sampler", sweep.sampler),
        ("pruner", sweep.pruner or "none"),
        *environment_lines(sweep.environment),
        ("last change", sweep.time),
    ]
    if sweep.settings:
        facts.insert(2, ("set", "; ".join(f"{path}: {v}" for path, v in sweep.settings.items())))
    return tuple(facts)


def tally(sweep: Sweep) -> str:
    """Return how many trials there are of each state: 200 trials: 180 complete, 20 pruned."""
    counts = [f"{n} {_WORDS.get(state, state)}" for state, n in sweep.states.most_common()]
    total = count(len(sweep.trials), "trial")
    return total + (f": {', '.join(counts)}" if counts else "")


def expected_maximum(draws: int) -> float:
    """Return the expected maximum of a number of standard normal `draws`, by Blom.

    Within 0.05 of the truth for any number; 0 of one draw.
    """
    return NormalDist().inv_cdf((draws - 0.375) / (draws + 0.25))


def _result(sweep: Sweep) -> str:
    order = ranking(sweep)
    if not order:
        return "No trial is complete yet, so there is nothing to choose from."
    if len(sweep.objectives) > 1:
        return _front_result(sweep, order)
    best, objective = order[0], sweep.objectives[0]
    words, number = notation(objective.metric), best.metrics[objective.metric]
    base = value(sweep.base_metrics, objective.metric)
    label, suffix = _label(objective)
    changed = f"with {short_choices(best) or 'the choices of the base'}"
    if base is None:
        return f"{label} {words.text(number)}{suffix} in trial {best.number}, {changed}."
    delta = words.delta(number, base)
    return (
        f"{label} {words.text(base)} → {words.text(number)}{suffix} ({delta}) in trial "
        f"{best.number}, {changed}."
    )


def _front_result(sweep: Sweep, order: tuple[Trial, ...]) -> str:
    front = [trial for trial in order if trial.number in sweep.best] or [order[0]]
    spans = []
    for objective in sweep.objectives:
        label, suffix = _label(objective)
        result = [trial.metrics[objective.metric] for trial in front]
        words, base = notation(objective.metric), value(sweep.base_metrics, objective.metric)
        of_base = "" if base is None else f" (base {words.text(base)}{suffix})"
        low, high = words.text(min(result)), words.text(max(result))
        span = low if low == high else f"{low} to {high}"
        spans.append(f"{label} {span}{suffix}{of_base}")
    size = count(len(front), "trial is", "trials are")
    return f"{size} on the front: {', '.join(spans)}. {_beats(sweep, front)}".strip()


def _beats(sweep: Sweep, front: list[Trial]) -> str:
    """Whether any trial is better than the base in everything."""
    base = sweep.base_metrics
    if any(value(base, objective.metric) is None for objective in sweep.objectives):
        return ""
    numbers = [
        str(trial.number)
        for trial in front
        if not any(is_better(base[o.metric], trial.metrics[o.metric], o) for o in sweep.objectives)
    ]
    if not numbers:
        return "None of them is at least as good as the base in every objective."
    word, verb = ("Trial", "is") if len(numbers) == 1 else ("Trials", "are")
    return f"{word} {', '.join(numbers)} {verb} at least as good as the base in every objective."


def _effort(sweep: Sweep) -> str:
    ended = [t for t in sweep.trials if t.state not in _OPEN]
    minutes = sweep.seconds / 60
    own = [t for t in ended if not t.is_seed]
    rate = len(own) / minutes if minutes else math.inf
    if not own or not math.isfinite(rate):
        return f"{tally(sweep)}."
    speed = f"{rate:.1f} trials a minute" if rate >= 1 else f"{60 * rate:.2g} trials an hour"
    how = "" if sweep.trains else ", none of them trained: stored forward passes were replayed"
    return f"{tally(sweep)}. {duration(sweep.seconds, days=False)}, {speed}{how}."


def _selection(sweep: Sweep) -> str:
    """The winner's curse, and the remedy."""
    num_scored = len(complete_trials(sweep))
    if sweep.confirm:
        return (
            "These numbers were selected as the best and are optimistic; quote those of "
            f"{sweep.confirm}, which ran the chosen trials with more seeds."
        )
    several = len(sweep.objectives) > 1
    best, verb, them = ("trials", "were", "them") if several else ("trial", "was", "it")
    size = (
        f" If all {num_scored} were equally good, with independent errors, the best would still "
        f"look {expected_maximum(num_scored):.1f} standard errors better than it is."
        if num_scored > 1
        else ""
    )
    again = re.sub(r" --confirm[ =]\S+", "", sweep.command) + " --confirm 3"
    return (
        f"The best {best} of {num_scored} {verb} chosen on the very images that scored {them}, so "
        f"what is shown is optimistic.{size} Before quoting a number, confirm it with more seeds "
        f"(`{again}`) or on other images."
    )


def _label(objective: Objective) -> tuple[str, str]:
    """Words and unit apart: `latency` and ` ms`."""
    words, _, suffix = notation(objective.metric).words.partition(", ")
    return words, f" {suffix}" if suffix else ""


def _mode(sweep: Sweep) -> str:
    goals = ", ".join(
        f"{'largest' if o.maximise else 'smallest'} {notation(o.metric).words}"
        for o in sweep.objectives
    )
    budget = sweep.latency_budget_ms
    return f"{sweep.mode}: {goals}" + (f", at most {budget:g} ms" if budget is not None else "")
