"""Alternating rounds over all arms, until every interval is as narrow as was asked for."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from runners.timing.clocks import MIN_ROUNDS, Probe, Sample, Step
from yolact_bench.results.text import elapsed
from yolact_bench.statistics.timing import half_width, median_interval, paired_ratio

log = logging.getLogger(__name__)

# Rounds after which the widths are looked at: 32, 48, 72, 108, … A look at every round would stop
# at the first that happens to look narrow; with few and growing ones the coverage stays.
FIRST_LOOK, GROWTH = 32, 1.5
LOOK_RESAMPLES = 500  # the tables draw more
# An arm's turn in a round lasts at least so long where single calls are short.
TURN_MS: Mapping[str, float] = {"cuda": 50.0, "cpu": 5.0}
MOST_CALLS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who is called how often, and when it ends."""

    baseline: str
    rel_ci: float
    max_seconds: float
    max_rounds: int | None = None  # None: as many as the time allows
    calls: int = 1  # of an arm in each of its turns
    period: int = 1  # samples until the images begin anew
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class Rounds:
    """What was measured, and why it ended."""

    samples: dict[str, list[Sample]]
    rounds: int = 0
    ended: str = ""  # "narrow", "time" or "rounds"
    widths: dict[str, float] = field(default_factory=dict)  # half-widths at the end

    def width(self, arm: str) -> float | None:
        """Return the half-width of an arm's interval at the end; None of too few rounds."""
        width = self.widths[arm]
        return width if math.isfinite(width) else None

    def ms(self, arm: str) -> list[float]:
        """Return the times of an arm, in the order of its calls."""
        return [sample.ms for sample in self.samples[arm]]


def calls_in_a_turn(times: Mapping[str, Sequence[float]], device_type: str) -> int:
    """Return how often each arm is called in its turn: 50 ms long on a GPU, at most 32 calls.

    After another arm's turn clocks and caches are not yet its own; in a longer turn that weighs
    less. All arms have the same number, so that sample i of each is of the same round and image.
    """
    fastest = min(median(of_arm) for of_arm in times.values())
    return min(MOST_CALLS, max(1, math.ceil(TURN_MS[device_type] / max(fastest, 1e-6))))


def alternate(
    steps: Mapping[str, Step],
    probe: Probe,
    order: Order,
    *,
    prepare: Mapping[str, Step] | None = None,
    between: Callable[[int], None] = lambda number: None,
    now: Callable[[], float] = time.perf_counter,
) -> Rounds:
    """Return the samples of every arm, in rounds whose order of arms is drawn anew each time.

    Call i of an arm gets the number i, so equal numbers are of equal images. `prepare` is called
    with the same number right before, untimed; `between` before each round.

    The rounds end when the 95 % intervals of all ratios to the baseline, and of the baseline's
    own median, are within `rel_ci` of their centres; at `max_rounds`; or at `max_seconds`, but
    not before the tenth round. None is left unfinished, and every sample is kept.
    """
    ready = prepare or {}
    draw = random.Random(order.seed)
    found = Rounds(samples={name: [] for name in steps})
    looks = _looks()
    look = next(looks)
    end = now() + order.max_seconds
    while not found.ended:
        number = found.rounds
        between(number)
        for name in draw.sample(sorted(steps), k=len(steps)):
            for call in range(number * order.calls, (number + 1) * order.calls):
                ready.get(name, _nothing)(call)
                found.samples[name].append(probe(partial(steps[name], call)))
        found.rounds += 1
        found.ended = _ended(found, order, end, now)
        if not found.ended and found.rounds >= look:
            look = next(looks)
            found.widths = widths(found, order)
            found.ended = "narrow" if max(found.widths.values()) <= order.rel_ci else ""
            _tell(found, order, left=end - now())
            _wake(steps, ready, found)
    found.widths = widths(found, order)
    return found


def widths(found: Rounds, order: Order) -> dict[str, float]:
    """Return the half-width of each arm's ratio, and of the baseline's median, as fractions."""
    how = {"period": order.period, "calls": order.calls, "resamples": LOOK_RESAMPLES}
    reference = found.ms(order.baseline)
    result = {order.baseline: half_width(median_interval(reference, **how))}
    for name in found.samples:
        if name != order.baseline:
            result[name] = half_width(paired_ratio(found.ms(name), reference, **how)[1])
    return result


def _ended(found: Rounds, order: Order, end: float, now: Callable[[], float]) -> str:
    if order.max_rounds is not None and found.rounds >= order.max_rounds:
        return "rounds"
    return "time" if found.rounds >= MIN_ROUNDS and now() >= end else ""


def _tell(found: Rounds, order: Order, *, left: float) -> None:
    """Say how far it is, while nobody is being timed."""
    width = max(found.widths.values())
    more = "" if found.ended else f", for at most {elapsed(max(left, 0.0))} more"
    log.info(
        "%d rounds: intervals within ±%.1f %%, of %g %% that are wanted%s",
        found.rounds,
        100 * width,
        100 * order.rel_ci,
        more,
    )


def _looks() -> Iterator[int]:
    look = float(FIRST_LOOK)
    while True:
        yield round(look)
        look *= GROWTH


def _wake(steps: Mapping[str, Step], ready: Mapping[str, Step], found: Rounds) -> None:
    """Call every arm once untimed: during the look the device has been idle."""
    if found.ended:
        return
    for name, step in steps.items():
        number = len(found.samples[name])
        ready.get(name, _nothing)(number)
        step(number)


def _nothing(number: int) -> None:
    """Prepare nothing."""
