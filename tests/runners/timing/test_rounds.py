"""Alternating rounds: when they end, and that equal arms come out equal whatever the clock does."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from runners.timing.clocks import CallTime, NumberedCall
from runners.timing.rounds import RoundOptions, Rounds, alternate, calls_in_a_turn, widths
from yolact_bench.statistics.timing import paired_ratio, rel_half_width

ARMS = ("a", "b", "c")


def round_plan(**changes: object) -> RoundOptions:
    values = {"baseline": "a", "rel_ci": 0.01, "max_seconds": 1e9, "max_rounds": 400}
    return RoundOptions(**{**values, **changes})  # type: ignore[arg-type]


def unit_timer(call: Callable[[], object]) -> CallTime:
    """Every call takes a millisecond."""
    call()
    return CallTime(1.0, 1.0)


class FakeMachine:
    """A clock that only moves when an arm is called: noise, drift, and a load from some call on.

    `slower` is what each call adds to the time of all later ones. The load is no constant: it
    comes in swells, as another program's work does.
    """

    def __init__(
        self, *, slower: float = 0.0, load_from: int = 10**9, noise: float = 0.02, seed: int = 0
    ) -> None:
        self.random = random.Random(seed)
        self.slower, self.load_from, self.noise = slower, load_from, noise
        self.calls, self.seconds, self.swell = 0, 0.0, 0.0
        self.factor = 1.0

    def steps(self, **factors: float) -> dict[str, NumberedCall]:
        """Return arms that take these multiples of 10 ms."""

        def step_of(name: str) -> NumberedCall:
            def step(number: int) -> None:
                self.factor = factors[name]

            return step

        return {name: step_of(name) for name in factors}

    def timer(self, call: Callable[[], object]) -> CallTime:
        call()
        self.calls += 1
        self.swell = 0.95 * self.swell + 0.05 * self.random.gauss(0, 1)
        loaded = 1.4 + self.swell if self.calls > self.load_from else 1.0
        ms = 10 * self.factor * (1 + self.slower) ** self.calls * max(loaded, 1.0)
        ms *= 1 + abs(self.random.gauss(0, self.noise))
        self.seconds += ms / 1e3
        return CallTime(ms, ms)


def intervals(found: Rounds) -> dict[str, tuple[float, float]]:
    result = {}
    for name in found.samples:
        if name != "a":
            _, interval = paired_ratio(found.ms(name), found.ms("a"))
            assert interval is not None
            result[name] = interval
    return result


@pytest.mark.parametrize(
    "machine",
    [
        {"slower": 0.001},
        {"load_from": 150},
        {"slower": 0.001, "load_from": 150},
    ],
)
def test_equal_arms_rank_as_equal_on_a_machine_that_slows_down(machine: dict[str, float]) -> None:
    """0.1 % a call is a factor of 1.35 over 3 × 100 calls; the load, from the middle on, of 1.4.

    Arms timed one after the other would differ by that. Here of 20 sessions with two equal arms
    each, so 40 intervals of 95 %, 38 contain 1 on average; fewer than 33 has a chance below 1 %.
    """
    contain = 0
    for seed in range(20):
        at = FakeMachine(**machine, seed=seed)  # type: ignore[arg-type]
        found = alternate(
            at.steps(a=1, b=1, c=1), at.timer, round_plan(max_rounds=100, rel_ci=1e-6, seed=seed)
        )
        first, last = found.ms("a")[:40], found.ms("a")[60:]
        assert np.median(last) > 1.1 * np.median(first)  # the machine did slow down
        contain += sum(low <= 1 <= high for low, high in intervals(found).values())
    assert contain >= 33


def test_an_arm_that_is_slower_by_two_percent_is_distinguished_on_such_a_machine() -> None:
    """So the test above does not pass for want of sight: half-widths are below 1 %."""
    at = FakeMachine(slower=0.001, load_from=150, seed=1)
    found = alternate(at.steps(a=1, b=1.02, c=1), at.timer, round_plan(max_rounds=300, rel_ci=1e-6))
    low, high = intervals(found)["b"]
    assert 1 < low < 1.02 < high
    assert rel_half_width((low, high)) < 0.01


def test_rounds_end_at_the_first_check_at_which_all_intervals_are_narrow() -> None:
    """Checks are at 32, 48, 72, 108, … rounds."""
    at = FakeMachine(noise=0.02)
    found = alternate(at.steps(a=1, b=1), at.timer, round_plan(rel_ci=0.01))
    assert found.ended == "narrow"
    assert found.rounds in (32, 48, 72, 108)
    assert max(found.widths.values()) <= 0.01
    assert {name: len(found.ms(name)) for name in "ab"} == dict.fromkeys("ab", found.rounds)


def test_stopping_when_narrow_does_not_spoil_the_intervals() -> None:
    """95 % of 100 sessions are 95; fewer than 87 has a chance of 0.03 %."""
    covered = 0
    for seed in range(100):
        at = FakeMachine(noise=0.03, seed=seed)
        found = alternate(at.steps(a=1, b=1), at.timer, round_plan(rel_ci=0.008, seed=seed))
        assert found.ended == "narrow"
        low, high = intervals(found)["b"]
        covered += low <= 1 <= high
    assert covered >= 87


def test_the_time_ends_the_rounds_but_not_before_the_tenth() -> None:
    """Three arms of 10 ms: a round takes 30 ms, so 34 of them start within a second."""
    for seconds, rounds in ((1.0, 34), (0.01, 10)):
        at = FakeMachine(noise=0.0)
        found = alternate(
            at.steps(a=1, b=1, c=1),
            at.timer,
            round_plan(max_seconds=seconds, rel_ci=1e-9),
            now=lambda at=at: at.seconds,
        )
        # Equal times have intervals without width: 1e-9 is met at the check after 32 rounds.
        assert (found.rounds, found.ended) in ((rounds, "time"), (32, "narrow"))


def test_every_arm_has_one_turn_a_round_and_is_prepared_for_each_call() -> None:
    """Two calls in a turn: numbers 0 1 in round 0, 2 3 in round 1; made ready, then called."""
    log: list[tuple[str, str, int]] = []
    steps = {name: (lambda n, name=name: log.append(("call", name, n))) for name in ARMS}
    rounds: list[int] = []

    def prepare(name: str, call: int) -> None:
        log.append(("ready", name, call))

    plan = round_plan(max_rounds=5, calls=2)
    alternate(steps, unit_timer, plan, prepare=prepare, between=rounds.append)
    assert rounds == [0, 1, 2, 3, 4]
    assert len(log) == 5 * 3 * 2 * 2
    for first in range(0, len(log), 2):
        assert log[first][0] == "ready"
        assert log[first + 1] == ("call", *log[first][1:])
    for number in range(5):
        turn = log[12 * number : 12 * number + 12]
        assert {n for _, _, n in turn} == {2 * number, 2 * number + 1}
        assert [turn[i][1] for i in (0, 4, 8)] == [turn[i][1] for i in (2, 6, 10)]
    firsts = {tuple(log[12 * n + i][1] for i in (0, 4, 8)) for n in range(5)}
    assert len(firsts) > 1  # five draws of six orders: all equal has a chance of 6^-4


def test_the_same_seed_gives_the_same_order() -> None:
    orders = []
    for seed in (7, 7, 8):
        calls: list[str] = []
        steps = {name: (lambda n, name=name, calls=calls: calls.append(name)) for name in ARMS}
        alternate(steps, unit_timer, round_plan(max_rounds=10, seed=seed))
        orders.append(calls)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]  # equal by chance: 6^-10


def test_without_a_width_to_reach_none_is_computed() -> None:
    rounds = alternate({"a": int, "b": int}, unit_timer, RoundOptions(max_rounds=40))
    assert (rounds.rounds, rounds.ended, rounds.widths) == (40, "rounds", {})


def test_short_calls_of_a_gpu_have_turns_of_fifty_milliseconds() -> None:
    """50 / 2 = 25 calls of the fastest arm; 50 / 0.5 = 100 are cut to 32; long calls have one."""
    assert calls_in_a_turn({"a": [2.0, 2.0], "b": [9.0]}, "cuda") == 25
    assert calls_in_a_turn({"a": [0.5]}, "cuda") == 32
    assert calls_in_a_turn({"a": [80.0]}, "cuda") == 1
    assert calls_in_a_turn({"a": [1.0]}, "cpu") == 5
    assert calls_in_a_turn({"a": [20.0]}, "cpu") == 1


def test_the_width_of_the_baseline_is_of_its_median_and_of_others_of_their_ratio() -> None:
    """All arms swing together by 20 %: the median is uncertain, the ratios are not."""
    swing = 1 + 0.2 * np.random.default_rng(0).standard_normal(60)
    samples = {name: [CallTime(ms, ms) for ms in 10 * np.abs(swing)] for name in ("a", "b")}
    found = widths(Rounds(samples=samples, rounds=60), round_plan())
    assert found["a"] > 0.03
    assert found["b"] == pytest.approx(0, abs=1e-9)
