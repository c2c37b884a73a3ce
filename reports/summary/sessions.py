"""The sessions that a report shows, as numbers, and why an arm has no place in one."""

from collections.abc import Mapping

from reports.summary.timings import SessionRow, fastest_of, meaning_of, timing_of
from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.fingerprint import timing_facts
from yolact_bench.results.sessions import END_TO_END, SessionChoice, sessions_to_show
from yolact_bench.results.store import Store


def session_rows(
    store: Store, arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> tuple[SessionRow, ...]:
    """Return the sessions that are shown, end_to_end before the others.

    `arms_by_seed` is seed → arm → detection digest. Times of different sessions are never mixed:
    an arm that was not timed in the chosen one is refused.
    """
    choices = sessions_to_show(store, arms_by_seed, baseline)
    return tuple(_session(choice, baseline, store) for choice in choices)


def _session(choice: SessionChoice, baseline: str, store: Store) -> SessionRow:
    reference, session = choice.reference, choice.session
    refused = {arm: _elsewhere(choice, digest, store) for arm, digest in choice.untimed.items()}
    timings = {}
    for arm, latency in choice.records.items():
        reason = session.fault(latency.detect_digest, reference)
        if reason:
            refused[arm] = reason
            continue
        is_other = baseline in choice.records and arm != baseline
        timings[arm] = timing_of(latency, reference if is_other else None)
    seen = read_device_facts(reference.facts)
    return SessionRow(
        name=session.name,
        seed=choice.seed,
        timer=reference.timer,
        kind=session.kind,
        num_images=len(set(reference.image_ids)),
        environment=reference.environment,
        facts=timing_facts(reference),
        invalid=session.invalid,
        warnings=seen.warnings if seen is not None else (),
        timings=timings,
        refused=refused,
        fastest=fastest_of({arm: choice.records[arm] for arm in timings}),
    )


def _elsewhere(choice: SessionChoice, digest: str, store: Store) -> str:
    """Why an arm has no time in the session, and which time it has in another.

    Of one that another framework reports of itself, it says what is timed by the scenario's name.
    """
    reason, other = "not timed in the same session as the others", choice.latest_of(digest)
    reported = [latency for latency in store.latencies([digest]) if latency.reported]
    if other is None and not reported:
        return reason
    latest = other.records[digest] if other else reported[-1]
    scenario = latest.scenario
    if latest.reported and scenario == END_TO_END:
        scenario += f" ({meaning_of(scenario, latest.protocol.version)})"
    text = (
        f"{reason}, so not to be compared with them: {latest.median_ms:.1f} ms, median of "
        f"{len(latest.samples_ms)}, {latest.timer}, {latest.precision}, {scenario}, on "
        f"{latest.environment.device}"
    )
    fault = other.of([digest]).fault(digest, choice.reference) if other else ""
    return f"{text}; {fault}" if fault else text
