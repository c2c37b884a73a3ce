"""Latencies of one session as comparable numbers: quantiles, stages, ratio to the baseline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yolact_bench.clock import STAGES
from yolact_bench.loads import find_load
from yolact_bench.results.record import Environment, Latency
from yolact_bench.results.sessions import Kind
from yolact_bench.spec.latency import SCENARIOS
from yolact_bench.statistics.timing import (
    MIN_SAMPLES_P90,
    MIN_SAMPLES_P99,
    Interval,
    median_interval,
    paired_ratio,
    period_of,
)
from yolact_bench.text import ms_unit

# Of the time that a call takes on the GPU: from here on the host is what holds it up.
LAUNCH_BOUND = 0.8
_PROTOCOL_1 = "decoded image to bit masks at image size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Time of one arm on one image, and how it compares within its session."""

    n: int
    median_ms: float
    interval_ms: Interval | None  # 95 %, of the median
    iqr_ms: float  # between the quartiles
    p90_ms: float | None  # None: too few samples
    p99_ms: float | None
    fps: float  # images a second: 1000 · batch / median
    ratio: float | None  # to the baseline, rounds paired; None: not paired
    ratio_interval: Interval | None  # 95 %
    stages_ms: Mapping[str, float]  # median of each stage, in order of execution
    warnings: tuple[str, ...]  # what must be known of this arm's time
    latency: Latency  # the record


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session whose times stand in one table: one scenario, batch size and load."""

    name: str
    seed: int
    timer: str
    kind: Kind
    num_images: int  # different ones
    environment: Environment
    timings: Mapping[str, Timing]  # by arm
    facts: Mapping[str, str]  # hardware, software and protocol: equal for all that compare
    invalid: str  # why no time of it counts; "" where they do
    warnings: tuple[str, ...]  # what makes its times doubtful
    refused: Mapping[str, str]  # arm → why its time may not stand in the same column
    fastest: str | None  # arm that beats the second fastest by more than chance explains

    @property
    def label(self) -> str:
        """The scenario, and whatever sets it apart from the usual one of that name."""
        kind = self.kind
        parts = [kind.scenario]
        parts += [f"protocol {kind.version}"] if kind.version == 1 else []
        parts += [f"batch {kind.batch_size}"] if kind.batch_size > 1 else []
        parts += [f"load {kind.load} †"] if kind.load else []
        return ", ".join(parts)

    @property
    def unit(self) -> str:
        return ms_unit(self.environment.device_type)

    @property
    def meaning(self) -> str:
        """Where a call begins and ends."""
        return meaning_of(self.kind.scenario, self.kind.version)

    @property
    def load_source(self) -> str:
        """Where the numbers of the declared load come from; "" without one."""
        return find_load(self.kind.load).source if self.kind.load else ""


def meaning_of(scenario: str, version: int) -> str:
    """Where a call of a scenario begins and ends, by the version of the protocol."""
    return SCENARIOS.get(scenario, scenario) if version > 1 else _PROTOCOL_1


def fastest_of(timed: Mapping[str, Latency]) -> str | None:
    """The arm whose interval of the ratio to the second fastest excludes one."""
    order = sorted(timed, key=lambda arm: timed[arm].median_ms)[:2]
    if len(order) < 2 or not timed[order[0]].is_paired(timed[order[1]]):
        return None
    _, interval = ratio_to(timed[order[0]], timed[order[1]])
    return order[0] if interval is not None and interval[1] < 1 else None


def timing_of(latency: Latency, reference: Latency | None) -> Timing:
    """Return an arm's numbers, those relative to the reference if there is one."""
    n = len(latency.samples_ms)
    ratio, interval = None, None
    if reference is not None and latency.is_paired(reference):
        ratio, interval = ratio_to(latency, reference)
    order = {stage: place for place, stage in enumerate(STAGES)}
    stages = sorted(latency.stages_ms, key=lambda stage: order.get(stage, len(order)))
    return Timing(
        n=n,
        median_ms=latency.median_ms,
        interval_ms=median_interval(
            latency.samples_ms,
            period=period_of(latency.image_ids),
            calls=latency.protocol.calls_per_round,
        ),
        iqr_ms=latency.quantile_ms(0.75) - latency.quantile_ms(0.25),
        p90_ms=latency.quantile_ms(0.9) if n >= MIN_SAMPLES_P90 else None,
        p99_ms=latency.quantile_ms(0.99) if n >= MIN_SAMPLES_P99 else None,
        fps=1000 * latency.batch_size / latency.median_ms,
        ratio=ratio,
        ratio_interval=interval,
        stages_ms={s: _median(latency.stages_ms[s]) for s in stages},
        warnings=tuple(_warnings(latency)),
        latency=latency,
    )


def ratio_to(latency: Latency, reference: Latency) -> tuple[float, Interval | None]:
    """Return the ratio of paired rounds of two arms, and its 95 % interval."""
    return paired_ratio(
        latency.samples_ms,
        reference.samples_ms,
        period=period_of(latency.image_ids),
        calls=latency.protocol.calls_per_round,
    )


def unfolded_text(arm: str, norms: int) -> str:
    """The note on an arm whose batch norms are not all folded."""
    these = "1 batch norm" if norms == 1 else f"{norms} batch norms"
    return f"{these} of {arm} could not be folded; its time is higher than necessary"


def _warnings(latency: Latency) -> Iterator[str]:
    """What makes one arm's time, or its split, less than it seems."""
    if latency.enqueue_ms and latency.scenario != "end_to_end":
        share = _median(latency.enqueue_ms) / latency.median_ms
        if share > LAUNCH_BOUND:
            yield (
                f"launch-bound: the host is busy for {share:.0%} of a call, so a faster GPU "
                "would not help"
            )
    if latency.protocol.warmup_stable is False:
        yield "its times were still changing when the warm-up ended"
    if latency.inexact:
        yield f"{latency.inexact} images for which fixed numbers of candidates were too small"
    yield from latency.protocol.stage_notes


def _median(values: Sequence[float]) -> float:
    """The median with numpy's rounding of a quantile: earlier reports have these digits."""
    return float(np.quantile(np.asarray(values, float), 0.5))
