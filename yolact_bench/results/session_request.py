"""Whether an earlier timing session makes another one unnecessary, and if not, why.

`plan` and `run` ask this of a machine, a device and the options of a command. A report does not: it
shows the times of whichever machine took them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yolact_bench.results.fingerprint import environment_facts, mismatch
from yolact_bench.results.record import Environment, TimingProtocol
from yolact_bench.results.sessions import Kind, Session, read_sessions
from yolact_bench.results.store import Store
from yolact_bench.text import count


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """What is to be timed, where, and when the rounds may end."""

    digests: Sequence[str]  # of the runs
    kind: Kind
    environment: Environment  # whose commit does not matter, as for trainings
    rel_ci: float
    max_s: float
    rounds: int | None  # None: until the width or the time is reached
    twin: bool
    weights_of: Callable[[str], str] = lambda digest: ""  # SHA-256 of those there are now

    def fault(self, session: Session) -> str:
        """Why a session does not stand for a new one; "" if it does."""
        if not session.covers(self.digests):
            return "an arm was not timed in it"
        if session.invalid:
            return f"it does not count ({session.invalid})"
        for digest, record in session.records.items():
            if record.weights_sha256 and self.weights_of(digest) not in ("", record.weights_sha256):
                return f"the weights of {record.arm} have been replaced since"
            then, now = environment_facts(record.environment), environment_facts(self.environment)
            if then != now:
                return mismatch(then, now, words=("then", "now"))
        protocols = [record.protocol for record in session.records.values()]
        if self.twin and not all(protocol.twin_of for protocol in protocols):
            return "no arm was timed twice"
        return "" if self._is_long_enough(protocols) else _length(protocols)

    def _is_long_enough(self, protocols: Sequence[TimingProtocol]) -> bool:
        """Whether the rounds of the request would have ended by then."""
        widths = [protocol.half_width for protocol in protocols]
        if all(width is not None and width <= self.rel_ci for width in widths):
            return True
        if self.rounds is not None and all((p.rounds or 0) >= self.rounds for p in protocols):
            return True
        return all(p.ended == "time" and (p.max_s or 0.0) >= self.max_s for p in protocols)


def session_for(store: Store, request: SessionRequest) -> tuple[Session | None, str]:
    """Return the latest session that stands for a new one, or why the latest of all does not.

    Both are empty where no session of that kind has any of the runs.
    """
    reason = ""
    for session in reversed(read_sessions(store, request.digests)):
        if session.kind == request.kind:
            fault = request.fault(session)
            if not fault:
                return session, ""
            reason = reason or fault
    return None, reason


def _length(protocols: Sequence[TimingProtocol]) -> str:
    widths = [protocol.half_width for protocol in protocols]
    known = [width for width in widths if width is not None]
    widest = f"±{100 * max(known):.1f} %" if len(known) == len(widths) else "an unknown width"
    return f"it ended after {count(protocols[0].rounds or 0, 'round')}, with {widest}"
