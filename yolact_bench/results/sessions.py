"""Timing sessions: whether one counts, and which one stands for a set of runs.

Arms alternate within a session, so times compare only there. Whatever depends on the validity of
times, or picks a session of the store, uses this module. A new reason for a session not to count is
a new entry of `RULES`.

One file: what counts and what is shown follow from the same rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from yolact_bench.results.fingerprint import mismatch, timing_facts
from yolact_bench.results.record import Latency, TimingProtocol
from yolact_bench.results.store import Store

END_TO_END = "end_to_end"  # the scenario whose times stand beside the accuracies, if it was timed
_ORDER = (END_TO_END, "detector", "model")


@runtime_checkable
class Times(Protocol):
    """What a rule reads of one arm: a record, or a measurement that may become one.

    Rules run on both, so a rule may read only what is declared here. What another one needs, and
    both have, is added as a property. A rule that a smoke run of two rounds would break exempts
    arms whose `protocol.is_smoke`.
    """

    @property
    def invalid(self) -> str:
        """The reason found while measuring; "" without one."""

    @property
    def protocol(self) -> TimingProtocol:
        """How the times were measured."""

    @property
    def samples_ms(self) -> tuple[float, ...]:
        """The time of every call."""


Rule = Callable[[Sequence[Times]], str]  # all arms of a session → why it does not count, or ""


def measured_reason(arms: Sequence[Times]) -> str:
    """The first reason that was found while the session was measured."""
    return next((arm.invalid for arm in arms if arm.invalid), "")


RULES: tuple[Rule, ...] = (measured_reason,)


def why_invalid(arms: Iterable[Times]) -> str:
    """Why a session of these arms does not count, by the first rule it breaks; "" if it counts."""
    times = tuple(arms)
    return next((reason for rule in RULES if (reason := rule(times))), "")


class Kind(NamedTuple):
    """What two sessions have in common that measured the same thing."""

    scenario: str
    version: int  # of the protocol
    batch_size: int
    load: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The times of one session, by detection digest. Times that others reported have none."""

    name: str
    kind: Kind
    records: Mapping[str, Latency]

    @property
    def invalid(self) -> str:
        """Why no time of the session counts; "" if they do."""
        return why_invalid(self.records.values())

    def covers(self, digests: Iterable[str]) -> bool:
        """Whether all of these runs were timed."""
        return self.records.keys() >= set(digests)

    def of(self, digests: Iterable[str]) -> "Session":
        """The same session with these runs alone."""
        records = {digest: self.records[digest] for digest in digests if digest in self.records}
        return Session(name=self.name, kind=self.kind, records=records)

    def fault(self, digest: str, reference: Latency) -> str:
        """Why a time may not stand in one column with the reference's; "" if it may."""
        if self.invalid:
            return f"the measurement does not count ({self.invalid})"
        here, there = timing_facts(self.records[digest]), timing_facts(reference)
        return mismatch(here, there, words=("here", "with the others"))


def read_sessions(store: Store, digests: Sequence[str] | None = None) -> list[Session]:
    """The sessions of these runs, or of all, earliest first."""
    sessions: dict[tuple[str, Kind], dict[str, Latency]] = {}
    for record in store.latencies(digests):
        if not record.reported:
            version = record.protocol.version
            kind = Kind(record.scenario, version, record.batch_size, record.load)
            sessions.setdefault((record.session, kind), {})[record.detect_digest] = record
    return [
        Session(name=name, kind=kind, records=records) for (name, kind), records in sessions.items()
    ]


def latest_session(store: Store, digests: Sequence[str], scenario: str) -> Session | None:
    """The latest session of all of these runs, one that counts before the others."""
    sessions = [
        session
        for session in read_sessions(store, digests)
        if session.kind.scenario == scenario and session.covers(digests)
    ]
    counting = [session for session in sessions if not session.invalid]
    return next(reversed(counting or sessions), None)


def why_times_invalid(store: Store, digests: Sequence[str]) -> str:
    """Why the times of these runs do not count; "" if they do, or there are none.

    Of each scenario the session that has most of the runs decides, the latest of equals: one
    of another ablation, with some of the runs, does no harm to this one's.
    """
    largest: dict[str, Session] = {}
    for session in read_sessions(store, digests):
        before = largest.get(session.kind.scenario)
        if before is None or len(session.records) >= len(before.records):
            largest[session.kind.scenario] = session
    reasons = (session.invalid for session in largest.values())
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def listed_session(store: Store, digests: Sequence[str]) -> Session | None:
    """The session whose times stand in a list of runs, if there is one.

    One that counts, then of the whole call, then with most runs, then the latest.
    """

    def rank(session: Session) -> tuple[bool, bool, int]:
        is_whole = session.kind.scenario == END_TO_END
        return not session.invalid, is_whole, len(session.records)

    # Of equals `max` takes the first.
    return max(reversed(read_sessions(store, digests)), key=rank, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChoice:
    """The session that a report shows of one kind, for the arms of one seed."""

    seed: int
    session: Session  # of these arms alone
    records: Mapping[str, Latency]  # arm → its time in the session
    reference: Latency  # of the baseline, or else of the first arm
    untimed: Mapping[str, str]  # other arm → detection digest
    same_kind: tuple[Session, ...]

    def latest_of(self, digest: str) -> Session | None:
        """The latest session of that kind with this run."""
        return next((s for s in reversed(self.same_kind) if digest in s.records), None)


def sessions_to_show(
    store: Store, arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> list[SessionChoice]:
    """One session of each scenario, batch size and load, end_to_end before the others.

    Of each the one that counts, then has the baseline, then most of the arms, then is the latest.
    `arms_by_seed` is seed → arm → detection digest. Where no session counts, one that does not is
    shown with its reason; an older protocol only where no newer one is.
    """
    wanted = [digest for arms in arms_by_seed.values() for digest in arms.values()]
    by_kind: dict[Kind, list[Session]] = {}
    for session in read_sessions(store, wanted):
        by_kind.setdefault(session.kind, []).append(session)
    best = [_best(sessions, arms_by_seed, baseline) for sessions in by_kind.values()]
    by_version = sorted(best, key=lambda c: (not c.session.invalid, c.session.kind.version))
    newest = {c.session.kind.scenario: c.session.kind.version for c in by_version}
    latest = (c for c in best if c.session.kind.version == newest[c.session.kind.scenario])
    return sorted(latest, key=_place)


def _best(
    sessions: Sequence[Session], arms_by_seed: Mapping[int, Mapping[str, str]], baseline: str
) -> SessionChoice:
    ranked: list[tuple[tuple[bool, bool, int, int], int, Session]] = []
    for order, whole in enumerate(sessions):
        for seed, arms in arms_by_seed.items():
            session = whole.of(arms.values())
            timed = [arm for arm, digest in arms.items() if digest in session.records]
            rank = not session.invalid, baseline in timed, len(timed), order
            if timed:
                ranked.append((rank, seed, session))
    _, seed, session = max(ranked, key=lambda one: one[0])  # the first of equals
    arms, times = arms_by_seed[seed], session.records
    records = {arm: times[digest] for arm, digest in arms.items() if digest in times}
    return SessionChoice(
        seed=seed,
        session=session,
        records=records,
        reference=records.get(baseline) or next(iter(records.values())),
        untimed={arm: digest for arm, digest in arms.items() if digest not in times},
        same_kind=tuple(sessions),
    )


def _place(choice: SessionChoice) -> tuple[bool, int, str, bool, str, int]:
    kind, invalid = choice.session.kind, bool(choice.session.invalid)
    place = _ORDER.index(kind.scenario) if kind.scenario in _ORDER else len(_ORDER)
    return invalid, place, kind.scenario, bool(kind.load), kind.load, kind.batch_size
