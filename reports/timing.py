"""Latencies of one session as comparable numbers: quantiles, stages, ratio to the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolact_bench.clock import STAGES
from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.fingerprint import differences, timing_facts
from yolact_bench.results.record import Environment, Latency
from yolact_bench.results.store import Store

# A quantile is printed only where at least a few samples lie beyond it: 64 × 0.1 ≈ 6 of them,
# 662 × 0.01 ≈ 7 of them.
MIN_SAMPLES_P90 = 64
MIN_SAMPLES_P99 = 662
MIN_ROUNDS_INTERVAL = 10
RESAMPLES = 2000
_HERE_THERE = ("here", "with the others")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Time of one arm on one image, and how it compares within its session."""

    n: int
    median_ms: float
    p90_ms: float | None  # None: too few samples
    p99_ms: float | None
    fps: float  # 1000 / median
    ratio: float | None  # to the baseline, rounds paired; None: not paired
    ratio_interval: tuple[float, float] | None  # 95 %
    stages_ms: Mapping[str, float]  # median of each stage, in order of execution
    peak_memory_mb: float | None
    energy_mj: float | None  # an image; None: nobody counts it
    warmup: int
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The one session whose times stand in the table."""

    name: str
    seed: int
    device: str
    device_type: str
    threads: int
    timer: str
    scenario: str
    num_images: int  # different ones
    environment: Environment
    timings: Mapping[str, Timing]  # by arm
    facts: Mapping[str, str]  # hardware, software and protocol: equal for all that compare
    invalid: str  # why no time of it counts; "" where they do
    warnings: tuple[str, ...]  # what makes its times doubtful
    refused: Mapping[str, str]  # arm → why its time may not stand in the same column
    fastest: str | None  # arm that beats the second fastest by more than chance explains


def read_session(
    store: Store, arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> Session | None:
    """Return the session that times most of the arms, the latest of equals; None without any.

    `arms_by_seed` is seed → arm → detect digest. Times of different sessions are never mixed:
    an arm that was not timed in the chosen one is refused. A session that does not count is
    chosen where there is no other, so that its reason can be told.
    """
    wanted = [digest for digests in arms_by_seed.values() for digest in digests.values()]
    best: tuple[tuple[bool, bool, int, int], int, dict[str, Latency]] | None = None
    sessions = store.latency_sessions(wanted)
    for order, timed in enumerate(sessions.values()):
        for seed, digests in arms_by_seed.items():
            found = {
                arm: timed[digest]
                for arm, digest in digests.items()
                if digest in timed and not timed[digest].reported
            }
            counts = not any(latency.invalid for latency in found.values())
            rank = counts, baseline in found, len(found), order
            if found and (best is None or rank > best[0]):
                best = rank, seed, found
    if best is None:
        return None
    _, seed, found = best
    reference = found.get(baseline) or next(iter(found.values()))
    refused = {
        arm: _untimed([timed[digest] for timed in sessions.values() if digest in timed], reference)
        for arm, digest in arms_by_seed[seed].items()
    }
    return _session(seed, refused, found, baseline)


def _untimed(others: Sequence[Latency], reference: Latency) -> str:
    """Why an arm has no time in the session, and which time it has in another."""
    reason = "not timed in the same session as the others"
    if not others:
        return reason
    latest = others[-1]
    told = (
        f"{reason}, so not to be compared with them: {latest.median_ms:.1f} ms, median of "
        f"{len(latest.samples_ms)}, {latest.timer}, {latest.precision}, {latest.scenario}, on "
        f"{latest.environment.device}"
    )
    otherwise = _incomparable(latest, reference)
    return f"{told}; {otherwise}" if otherwise else told


def _session(
    seed: int, untimed: Mapping[str, str], found: Mapping[str, Latency], baseline: str
) -> Session:
    reference = found.get(baseline) or next(iter(found.values()))
    refused = dict(untimed)
    timings = {}
    for arm, latency in found.items():
        reason = _incomparable(latency, reference)
        if reason:
            refused[arm] = reason
            continue
        del refused[arm]
        is_other = baseline in found and arm != baseline
        timings[arm] = _timing(latency, reference if is_other else None)
    environment = reference.environment
    seen = read_device_facts(reference.facts)
    return Session(
        name=reference.session,
        seed=seed,
        device=environment.device,
        device_type=environment.device_type,
        threads=environment.threads,
        timer=reference.timer,
        scenario=reference.scenario,
        num_images=len(set(reference.image_ids)),
        environment=environment,
        facts=timing_facts(reference),
        invalid=reference.invalid,
        warnings=seen.warnings if seen is not None else (),
        timings=timings,
        refused=refused,
        fastest=_fastest({arm: found[arm] for arm in timings}),
    )


def _fastest(timed: Mapping[str, Latency]) -> str | None:
    """The arm whose interval of the ratio to the second fastest excludes one."""
    order = sorted(timed, key=lambda arm: timed[arm].median_ms)[:2]
    if len(order) < 2 or not _paired(timed[order[0]], timed[order[1]]):
        return None
    _, interval = paired_ratio(timed[order[0]].samples_ms, timed[order[1]].samples_ms)
    return order[0] if interval is not None and interval[1] < 1 else None


def _paired(latency: Latency, other: Latency) -> bool:
    """Whether sample i of both is of the same round and image."""
    return len(latency.samples_ms) == len(other.samples_ms) and latency.image_ids == other.image_ids


def _incomparable(latency: Latency, reference: Latency) -> str | None:
    """Why a time may not stand in one column with the others: invalid, or taken in another way."""
    if latency.invalid:
        return f"the measurement does not count ({latency.invalid})"
    return differences(timing_facts(latency), timing_facts(reference), words=_HERE_THERE) or None


def _timing(latency: Latency, reference: Latency | None) -> Timing:
    n = len(latency.samples_ms)
    ratio, interval = None, None
    if reference is not None and _paired(latency, reference):
        ratio, interval = paired_ratio(latency.samples_ms, reference.samples_ms)
    order = {stage: place for place, stage in enumerate(STAGES)}
    stages = sorted(latency.stages_ms, key=lambda stage: order.get(stage, len(order)))
    return Timing(
        n=n,
        median_ms=latency.median_ms,
        p90_ms=latency.quantile_ms(0.9) if n >= MIN_SAMPLES_P90 else None,
        p99_ms=latency.quantile_ms(0.99) if n >= MIN_SAMPLES_P99 else None,
        fps=1000 / latency.median_ms,
        ratio=ratio,
        ratio_interval=interval,
        stages_ms={s: float(np.median(latency.stages_ms[s])) for s in stages},
        peak_memory_mb=latency.peak_memory_mb,
        energy_mj=latency.energy_mj,
        warmup=latency.warmup,
        precision=latency.precision,
    )


def paired_ratio(
    samples: Sequence[float], reference: Sequence[float], *, seed: int = 0
) -> tuple[float, tuple[float, float] | None]:
    """Return the median ratio of samples of the same round, and its 95 % interval.

    A round times all arms on one image within a moment, so pairing removes what image and
    clock have in common. Neighbouring rounds still resemble each other (temperature, other
    processes): the bootstrap draws blocks of rounds, which keeps that resemblance. Its interval
    covers this session only, not another day or another machine. None with fewer than ten.
    """
    logs = np.log(np.asarray(samples, float) / np.asarray(reference, float))
    ratio = float(np.exp(np.median(logs)))
    if len(logs) < MIN_ROUNDS_INTERVAL:
        return ratio, None
    medians = np.median(logs[_block_draws(len(logs), seed)], axis=1)
    low, high = np.exp(np.quantile(medians, [0.025, 0.975]))
    return ratio, (float(low), float(high))


def _block_draws(n: int, seed: int) -> NDArray[np.int64]:
    """Row numbers of the resamples [RESAMPLES, n]: circular blocks of about n^(1/3) rounds."""
    length = max(1, round(n ** (1 / 3)))
    num_blocks = -(-n // length)
    starts = np.random.default_rng(seed).integers(n, size=(RESAMPLES, num_blocks))
    rows = (starts[:, :, None] + np.arange(length)) % n
    return rows.reshape(RESAMPLES, -1)[:, :n]
