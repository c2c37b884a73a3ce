"""Latencies of one session as comparable numbers: quantiles, stages, ratio to the baseline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from yolact_bench.clock import STAGES
from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.fingerprint import differences, timing_facts
from yolact_bench.results.record import Environment, Latency
from yolact_bench.results.store import Store
from yolact_bench.spec.latency import SCENARIOS
from yolact_bench.spec.loads import find_load
from yolact_bench.statistics.timing import (
    MIN_SAMPLES_P90,
    MIN_SAMPLES_P99,
    Interval,
    median_interval,
    period_of,
    quantile,
)
from yolact_bench.statistics.timing import paired_ratio as paired_ratio

_HERE_THERE = ("here", "with the others")
# The scenario whose times stand beside the accuracies, if there are several.
_ORDER = ("end_to_end", "detector", "model")
# Of the time that a call takes on the GPU: from here on the host is what holds it up.
LAUNCH_BOUND = 0.8
_PROTOCOL_1 = "decoded image to bit masks at image size"
_Kind = tuple[str, int, int, str]  # scenario, protocol version, batch size, load


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
    peak_memory_mb: float | None
    energy_mj: float | None  # an image; None: nobody counts it
    warmup: int
    precision: str
    detections: float | None  # mean in a call; None: not known
    warnings: tuple[str, ...]  # what must be known of this arm's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session whose times stand in one table: one scenario, batch size and load."""

    name: str
    seed: int
    device: str
    device_type: str
    threads: int
    timer: str
    scenario: str
    version: int  # of the protocol: what the scenario's name means
    batch_size: int
    load: str  # declared detection load; "": each arm's own detections
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
        parts = [self.scenario]
        parts += [f"protocol {self.version}"] if self.version == 1 else []
        parts += [f"batch {self.batch_size}"] if self.batch_size > 1 else []
        parts += [f"load {self.load} †"] if self.load else []
        return ", ".join(parts)

    @property
    def meaning(self) -> str:
        """Where a call begins and ends."""
        if self.version == 1:
            return _PROTOCOL_1
        return SCENARIOS.get(self.scenario, self.scenario)

    @property
    def load_source(self) -> str:
        """Where the numbers of the declared load come from; "" without one."""
        return find_load(self.load).source if self.load else ""


def read_session(
    store: Store, arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> Session | None:
    """Return the first of `read_sessions`; None without any."""
    found = read_sessions(store, arms_by_seed, baseline)
    return found[0] if found else None


def read_sessions(
    store: Store, arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> tuple[Session, ...]:
    """Return a session of each scenario, batch size and load, end_to_end before the others.

    Of each the one that times most of the arms, the latest of equals. `arms_by_seed` is seed →
    arm → detect digest. Times of different sessions are never mixed: an arm that was not timed
    in the chosen one is refused. A session that does not count is chosen where there is no
    other, so that its reason can be told; one of an older protocol likewise.
    """
    wanted = [digest for digests in arms_by_seed.values() for digest in digests.values()]
    kinds: dict[_Kind, dict[str, dict[str, Latency]]] = {}
    for name, timed in store.latency_sessions(wanted).items():
        for digest, latency in timed.items():
            if not latency.reported:
                of_kind = kinds.setdefault(_kind(latency), {})
                of_kind.setdefault(name, {})[digest] = latency
    found = [
        session
        for sessions in kinds.values()
        if (session := _chosen(sessions, arms_by_seed, baseline)) is not None
    ]
    newest = {s.scenario: s.version for s in sorted(found, key=_standing)}
    return tuple(sorted((s for s in found if s.version == newest[s.scenario]), key=_place))


def _kind(latency: Latency) -> _Kind:
    return latency.scenario, latency.protocol_version, latency.batch_size, latency.load


def _standing(session: Session) -> tuple[bool, int]:
    """The last of a scenario in this order has the version that is shown."""
    return not session.invalid, session.version


def _place(session: Session) -> tuple[bool, int, str, bool, str, int]:
    known = session.scenario in _ORDER
    place = _ORDER.index(session.scenario) if known else len(_ORDER)
    load = session.load
    return bool(session.invalid), place, session.scenario, bool(load), load, session.batch_size


def _chosen(
    sessions: Mapping[str, Mapping[str, Latency]],
    arms_by_seed: Mapping[int, Mapping[str, str]],
    baseline: str,
) -> Session | None:
    best: tuple[tuple[bool, bool, int, int], int, dict[str, Latency]] | None = None
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
        version=reference.protocol_version,
        batch_size=reference.batch_size,
        load=reference.load,
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
    _, interval = _ratio(timed[order[0]], timed[order[1]])
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
        ratio, interval = _ratio(latency, reference)
    order = {stage: place for place, stage in enumerate(STAGES)}
    stages = sorted(latency.stages_ms, key=lambda stage: order.get(stage, len(order)))
    return Timing(
        n=n,
        median_ms=latency.median_ms,
        interval_ms=median_interval(
            latency.samples_ms, period=period_of(latency.image_ids), calls=latency.calls_per_round
        ),
        iqr_ms=latency.quantile_ms(0.75) - latency.quantile_ms(0.25),
        p90_ms=latency.quantile_ms(0.9) if n >= MIN_SAMPLES_P90 else None,
        p99_ms=latency.quantile_ms(0.99) if n >= MIN_SAMPLES_P99 else None,
        fps=1000 * latency.batch_size / latency.median_ms,
        ratio=ratio,
        ratio_interval=interval,
        stages_ms={s: quantile(latency.stages_ms[s], 0.5) for s in stages},
        peak_memory_mb=latency.peak_memory_mb,
        energy_mj=latency.energy_mj,
        warmup=latency.warmup,
        precision=latency.precision,
        detections=_number(latency.protocol.get("detections")),
        warnings=tuple(_warnings(latency)),
    )


def _ratio(latency: Latency, reference: Latency) -> tuple[float, Interval | None]:
    return paired_ratio(
        latency.samples_ms,
        reference.samples_ms,
        period=period_of(latency.image_ids),
        calls=latency.calls_per_round,
    )


def _warnings(latency: Latency) -> Iterator[str]:
    """What makes one arm's time, or its split, less than it seems."""
    if latency.enqueue_ms and latency.scenario != "end_to_end":
        share = quantile(latency.enqueue_ms, 0.5) / latency.median_ms
        if share > LAUNCH_BOUND:
            yield (
                f"launch-bound: the host is busy for {share:.0%} of a call, so a faster GPU "
                "would not help"
            )
    if latency.protocol.get("warmup_stable") is False:
        yield "its times were still changing when the warm-up ended"
    if latency.inexact:
        yield f"{latency.inexact} calls with fixed-size detections that may not be exact"
    notes = latency.protocol.get("stage_notes")
    if isinstance(notes, list):
        yield from map(str, notes)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, float | int) else None
