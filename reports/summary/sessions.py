"""The sessions that a report shows, as numbers, and why an arm has no place in one."""

from collections.abc import Mapping

from reports.summary.timings import SessionRow, fastest_of, timing_of
from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.fingerprint import timing_facts
from yolact_bench.results.sessions import SessionChoice, sessions_to_show
from yolact_bench.results.store import Store


def session_rows(
    store: Store, arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> tuple[SessionRow, ...]:
    """Return the sessions that are shown, end_to_end before the others.

    `arms_by_seed` is seed → arm → detection digest. Times of different sessions are never mixed:
    an arm that was not timed in the chosen one is refused.
    """
    choices = sessions_to_show(store, arms_by_seed, baseline)
    return tuple(_session(choice, baseline) for choice in choices)


def _session(choice: SessionChoice, baseline: str) -> SessionRow:
    reference, session = choice.reference, choice.session
    refused = {arm: _elsewhere(choice, digest) for arm, digest in choice.untimed.items()}
    timings = {}
    for arm, latency in choice.records.items():
        reason = session.fault(latency.detect_digest, reference)
        if reason:
            refused[arm] = reason
            continue
        is_other = baseline in choice.records and arm != baseline
        timings[arm] = timing_of(latency, reference if is_other else None)
    environment = reference.environment
    seen = read_device_facts(reference.facts)
    return SessionRow(
        name=session.name,
        seed=choice.seed,
        device=environment.device,
        device_type=environment.device_type,
        threads=environment.threads,
        timer=reference.timer,
        scenario=session.kind.scenario,
        version=session.kind.version,
        batch_size=session.kind.batch_size,
        load=session.kind.load,
        num_images=len(set(reference.image_ids)),
        environment=environment,
        facts=timing_facts(reference),
        invalid=session.invalid,
        warnings=seen.warnings if seen is not None else (),
        timings=timings,
        refused=refused,
        fastest=fastest_of({arm: choice.records[arm] for arm in timings}),
    )


def _elsewhere(choice: SessionChoice, digest: str) -> str:
    """Why an arm has no time in the session, and which time it has in another."""
    reason = "not timed in the same session as the others"
    other = choice.latest_of(digest)
    if other is None:
        return reason
    latest = other.records[digest]
    text = (
        f"{reason}, so not to be compared with them: {latest.median_ms:.1f} ms, median of "
        f"{len(latest.samples_ms)}, {latest.timer}, {latest.precision}, {latest.scenario}, on "
        f"{latest.environment.device}"
    )
    fault = other.of([digest]).fault(digest, choice.reference)
    return f"{text}; {fault}" if fault else text
