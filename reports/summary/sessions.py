"""Which sessions of the store are told, and why an arm has no place in one."""

from collections.abc import Mapping, Sequence

from reports.summary.timings import Session, fastest_of, incomparable, timing_of
from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.fingerprint import timing_facts
from yolact_bench.results.record import Latency
from yolact_bench.results.store import Store

# The scenario whose times stand beside the accuracies, if there are several.
_ORDER = ("end_to_end", "detector", "model")
_Kind = tuple[str, int, int, str]  # scenario, protocol version, batch size, load


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
    otherwise = incomparable(latest, reference)
    return f"{told}; {otherwise}" if otherwise else told


def _session(
    seed: int, untimed: Mapping[str, str], found: Mapping[str, Latency], baseline: str
) -> Session:
    reference = found.get(baseline) or next(iter(found.values()))
    refused = dict(untimed)
    timings = {}
    for arm, latency in found.items():
        reason = incomparable(latency, reference)
        if reason:
            refused[arm] = reason
            continue
        del refused[arm]
        is_other = baseline in found and arm != baseline
        timings[arm] = timing_of(latency, reference if is_other else None)
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
        fastest=fastest_of({arm: found[arm] for arm in timings}),
    )
