"""A formulation beside its plain one, in alternating rounds: what every benchmark here is made of.

Wall clock decides and the CPU time of the process stands beside it: on a busy machine the two
differ, and the table shows both. No time decides a test; that the arms agree is the test's part.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from runners.system.environment import environment
from runners.timing.clocks import NumberedCall, wall_clock, warm_up
from runners.timing.rounds import RoundOptions, alternate
from yolact_bench.statistics.timing import paired_ratio

Call = Callable[[], object]
Target = float | Mapping[str, float] | None

# A sample is so many calls that it lasts this long: the clock's own cost must not show.
MIN_SAMPLE_MS = 5.0
WARM_UP_CALLS = 3

# For rows that the table states at one and at two threads: `@AT_ONE_AND_TWO_THREADS`, then pass
# the parameter on as `compare(…, threads=threads)`.
AT_ONE_AND_TWO_THREADS = pytest.mark.parametrize(
    "threads",
    [
        1,
        pytest.param(
            2,
            marks=pytest.mark.skipif(
                (os.cpu_count() or 1) < 2, reason="two threads on one core say nothing"
            ),
        ),
    ],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How much faster than the reference an arm is: reference / arm, median over rounds."""

    value: float
    interval: tuple[float, float] | None  # 95 %, block bootstrap over rounds; None: too few
    cpu: float  # the same of process CPU times
    ms: float  # median of a call, wall clock
    cpu_ms: float
    rate: float  # items per second


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples:
    wall_ms: dict[str, list[float]]  # per call, one a round
    cpu_ms: dict[str, list[float]]


def compare(
    benchmark: BenchmarkFixture,
    row: str,
    arms: Mapping[str, Call],
    *,
    reference: str,
    target: Target = None,
    moonshot: Target = None,
    rounds: int = 15,
    seconds: float = 20.0,
    threads: int | None = None,
    items: int = 1,
    rate: str | None = None,
    group: str | None = None,
) -> Mapping[str, Ratio]:
    """Return how each arm but the reference compares to it, having timed all in shuffled rounds.

    Every arm is warmed up first. There are `rounds` rounds, or as many as fit into `seconds`, but
    at least ten. `threads` is what torch uses meanwhile; None leaves it. A call handles `items`
    items; with `rate` ("images/s") the targets are rates of the arm and not ratios. Rows of one
    `group` get a line of their own in the table, the geometric mean of their ratios, to which the
    targets then belong. A target for each arm is a mapping.

    Where benchmarks are switched off every arm runs twice, to see that it runs.
    """
    assert reference in arms, f"{reference} is none of {sorted(arms)}"
    compared: dict[str, Ratio] = {}

    def session() -> None:
        samples = _timed(arms, 1 if benchmark.disabled else rounds, seconds)
        compared.update(_ratios(samples, reference, items))
        benchmark.extra_info.update(
            {
                "row": row,
                "group": group,
                "reference": reference,
                "rate": rate,
                "target": _by_arm(target, arms, reference),
                "moonshot": _by_arm(moonshot, arms, reference),
                "threads": torch.get_num_threads(),
                "load_average": round(os.getloadavg()[0], 1),
                "reference_ms": median(samples.wall_ms[reference]),
                "reference_cpu_ms": median(samples.cpu_ms[reference]),
                "arms": {name: asdict(ratio) for name, ratio in compared.items()},
                "samples_ms": samples.wall_ms,
                "samples_cpu_ms": samples.cpu_ms,
                "environment": asdict(environment("cpu")),
            }
        )

    with at_threads(threads):
        benchmark.pedantic(session, rounds=1)
    return compared


@contextmanager
def at_threads(threads: int | None) -> Iterator[None]:
    """Run the block with so many threads of torch; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if threads is None else threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _timed(arms: Mapping[str, Call], rounds: int, seconds: float) -> _Samples:
    calls = {name: _calls_per_sample(arm) if rounds > 1 else 1 for name, arm in arms.items()}
    cpu_ms: dict[str, list[float]] = {name: [] for name in arms}

    def sampled(name: str) -> NumberedCall:
        arm, number = arms[name], calls[name]

        def step(_: int) -> None:
            start = time.process_time_ns()
            for _call in range(number):
                arm()
            cpu_ms[name].append((time.process_time_ns() - start) / 1e6 / number)

        return step

    steps = {name: sampled(name) for name in arms}
    timed = alternate(steps, wall_clock, RoundOptions(max_rounds=rounds, max_seconds=seconds))
    wall = {name: [ms / calls[name] for ms in timed.ms(name)] for name in arms}
    return _Samples(wall_ms=wall, cpu_ms=cpu_ms)


def _calls_per_sample(arm: Call) -> int:
    """Warm the arm up; return how many of its calls last `MIN_SAMPLE_MS`."""
    warm_up(lambda _: arm(), wall_clock, calls=WARM_UP_CALLS, max_seconds=5.0)
    fastest = min(wall_clock(arm).ms, wall_clock(arm).ms)
    return max(1, math.ceil(MIN_SAMPLE_MS / max(fastest, 1e-3)))


def _ratios(samples: _Samples, reference: str, items: int) -> dict[str, Ratio]:
    ratios = {}
    for name, wall in samples.wall_ms.items():
        if name == reference and len(samples.wall_ms) > 1:
            continue
        value, interval = paired_ratio(samples.wall_ms[reference], wall)
        cpu, _ = paired_ratio(samples.cpu_ms[reference], samples.cpu_ms[name])
        ratios[name] = Ratio(
            value=value,
            interval=interval,
            cpu=cpu,
            ms=median(wall),
            cpu_ms=median(samples.cpu_ms[name]),
            rate=1000 * items / median(wall),
        )
    return ratios


def _by_arm(target: Target, arms: Mapping[str, Call], reference: str) -> Mapping[str, float]:
    if target is None:
        return {}
    if isinstance(target, Mapping):
        assert target.keys() <= arms.keys(), f"targets for {sorted(target)}, arms {sorted(arms)}"
        return target
    judged = [name for name in arms if name != reference or len(arms) == 1]
    return dict.fromkeys(judged, target)
