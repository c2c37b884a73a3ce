"""Alternating rounds over all arms, until every interval is as narrow as the plan says."""

import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from statistics import median

from runners.timing.clocks import CallTime, NumberedCall, Timer
from yolact_bench.statistics.timing import MIN_ROUNDS, median_interval, paired_ratio, rel_half_width
from yolact_bench.text import duration

log = logging.getLogger(__name__)

# Rounds after which the widths are computed: 32, 48, 72, 108, … A check at every round would stop
# at the first that happens to look narrow; with few and growing ones the coverage stays.
FIRST_CHECK, GROWTH = 32, 1.5
CHECK_RESAMPLES = 500  # the tables draw more
# Minimum length of an arm's turn in a round where single calls are short.
TURN_MS: Mapping[str, float] = {"cuda": 50.0, "cpu": 5.0}
MOST_CALLS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOptions:
    """How often each arm is called, and when the rounds end."""

    baseline: str = ""
    rel_ci: float | None = None  # None: only rounds and time are limited
    max_seconds: float = math.inf
    max_rounds: int | None = None  # None: as many as the time allows
    calls: int = 1  # of an arm in each of its turns
    period: int = 1  # samples until the images begin anew
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class Rounds:
    """The samples of all arms, and why the rounds ended."""

    samples: dict[str, list[CallTime]]
    rounds: int = 0
    ended: str = ""  # "narrow", "time" or "rounds"
    widths: dict[str, float] = field(default_factory=dict)  # at the end; empty without `rel_ci`

    def width(self, arm: str) -> float | None:
        """Return the half-width of an arm's interval at the end; None of too few rounds."""
        width = self.widths[arm]
        return width if math.isfinite(width) else None

    def ms(self, arm: str) -> list[float]:
        return [sample.ms for sample in self.samples[arm]]


def calls_in_a_turn(times: Mapping[str, Sequence[float]], device_type: str) -> int:
    """Return how often each arm is called in its turn: 50 ms long on a GPU, at most 32 calls.

    After another arm's turn clocks and caches are not yet its own; in a longer turn that weighs
    less. All arms have the same number, so that sample i of each is of the same round and image.
    """
    fastest = min(median(of_arm) for of_arm in times.values())
    return min(MOST_CALLS, max(1, math.ceil(TURN_MS[device_type] / max(fastest, 1e-6))))


def alternate(
    steps: Mapping[str, NumberedCall],
    timer: Timer,
    options: RoundOptions,
    *,
    prepare: Callable[[str, int], object] = lambda arm, call: None,
    between: Callable[[int], None] = lambda number: None,
    now: Callable[[], float] = time.perf_counter,
) -> Rounds:
    """Time every arm in rounds whose order of arms is drawn anew each time.

    Clocks follow temperature over seconds, so timing all of A and then all of B reports the drift
    as a difference between A and B; and in a fixed order an arm always runs behind the same
    neighbour. Call i of an arm gets the number i, so equal numbers are of equal images. `prepare`
    gets the same number right before, untimed; `between` runs before each round.

    The rounds end when the 95 % intervals of all ratios to the baseline, and of the baseline's
    own median, are within `rel_ci` of their centres; at `max_rounds`; or at `max_seconds`, but
    not before the tenth round. None is left unfinished, and every sample is kept.
    """
    draw = random.Random(options.seed)
    rounds = Rounds(samples={name: [] for name in steps})
    checks = (round(FIRST_CHECK * GROWTH**done) for done in count())
    check = next(checks)
    end = now() + options.max_seconds
    while not rounds.ended:
        number = rounds.rounds
        between(number)
        for name in draw.sample(sorted(steps), k=len(steps)):
            for call in range(number * options.calls, (number + 1) * options.calls):
                prepare(name, call)
                rounds.samples[name].append(timer(partial(steps[name], call)))
        rounds.rounds += 1
        rounds.ended = _limit(rounds, options, end, now)
        if options.rel_ci is not None and not rounds.ended and rounds.rounds >= check:
            check = next(checks)
            rounds.widths = widths(rounds, options)
            rounds.ended = "narrow" if max(rounds.widths.values()) <= options.rel_ci else ""
            _log_progress(rounds, options.rel_ci, left=end - now())
            if not rounds.ended:  # during the check the device was idle: wake it, untimed
                for name, step in steps.items():
                    prepare(name, len(rounds.samples[name]))
                    step(len(rounds.samples[name]))
    if options.rel_ci is not None:
        rounds.widths = widths(rounds, options)
    return rounds


def widths(rounds: Rounds, options: RoundOptions) -> dict[str, float]:
    """Return the half-width of each arm's ratio, and of the baseline's median, as fractions."""
    how = {"period": options.period, "calls": options.calls, "resamples": CHECK_RESAMPLES}
    reference = rounds.ms(options.baseline)
    result = {options.baseline: rel_half_width(median_interval(reference, **how))}
    for name in rounds.samples:
        if name != options.baseline:
            result[name] = rel_half_width(paired_ratio(rounds.ms(name), reference, **how)[1])
    return result


def _limit(rounds: Rounds, options: RoundOptions, end: float, now: Callable[[], float]) -> str:
    if options.max_rounds is not None and rounds.rounds >= options.max_rounds:
        return "rounds"
    return "time" if rounds.rounds >= MIN_ROUNDS and now() >= end else ""


def _log_progress(rounds: Rounds, rel_ci: float, *, left: float) -> None:
    """Log the widths. No call is being timed meanwhile."""
    more = "" if rounds.ended else f", at most {duration(max(left, 0.0))} left"
    log.info(
        "%d rounds: intervals within ±%.1f %%, target ±%g %%%s",
        rounds.rounds,
        100 * max(rounds.widths.values()),
        100 * rel_ci,
        more,
    )
