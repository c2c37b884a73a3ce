"""Times of two ablations side by side, where hardware, software and protocol are the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from reports.timing import Session
from yolact_bench.results.fingerprint import differences


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChange:
    """Median times of one arm."""

    arm: str
    a: float | None  # ms
    b: float | None
    ratio: float | None  # b / a
    same_session: bool
    refused: str | None  # why the two may not be compared


def latency_changes(
    a: Session | None, b: Session | None, pairs: Mapping[str, str]
) -> tuple[tuple[LatencyChange, ...], str | None]:
    """Return the times of every pair of arms, or why no two of them may be compared.

    Within one session arms alternate; two sessions differ in temperature and clocks besides, so
    the ratio of two sessions has no interval.
    """
    if a is None or b is None:
        missing = [name for name, session in (("A", a), ("B", b)) if session is None]
        return (), None if len(missing) == 2 else f"{missing[0]} has none"
    reason = _incomparable(a, b)
    if reason:
        return (), reason
    changes = []
    for x, y in pairs.items():
        old, new = a.timings.get(x), b.timings.get(y)
        if old is None and new is None:
            continue
        refused = None
        if old is None or new is None:
            refused = f"not timed in {'A' if old is None else 'B'}"
        elif old.precision != new.precision:
            refused = f"{old.precision} in A, {new.precision} in B"
        changes.append(
            LatencyChange(
                arm=x,
                a=old.median_ms if old else None,
                b=new.median_ms if new else None,
                ratio=None if refused or not (old and new) else new.median_ms / old.median_ms,
                same_session=a.name == b.name,
                refused=refused,
            )
        )
    return tuple(changes), None


def _incomparable(a: Session, b: Session) -> str | None:
    """Why times of the two may not stand side by side: invalid, or taken in different ways."""
    invalid = [
        f"those of {name} do not count ({s.invalid})" for name, s in _sides(a, b) if s.invalid
    ]
    if invalid:
        return "; ".join(invalid)
    old, new = ({**s.facts, "num_images": str(s.num_images)} for _, s in _sides(a, b))
    return differences(old, new, words=("in A", "in B")) or None


def _sides(a: Session, b: Session) -> tuple[tuple[str, Session], ...]:
    return ("A", a), ("B", b)
