"""Times of two ablations side by side, where hardware, software and protocol are the same."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.summary.timings import SessionRow, ratio_to
from yolact_bench.results.fingerprint import mismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChange:
    """Median times of one arm."""

    arm: str
    scenario: str  # and batch size and load, where they are not the usual ones
    a: float | None  # ms
    b: float | None
    ratio: float | None  # b / a of paired rounds; None: two sessions, or not paired
    same_session: bool
    refused: str | None  # why the two may not be compared


def latency_changes(
    a: Sequence[SessionRow], b: Sequence[SessionRow], pairs: Mapping[str, str]
) -> tuple[tuple[LatencyChange, ...], str | None]:
    """Return the times of every pair of arms, and why others may not be compared.

    Times are compared in sessions of one kind: of equal scenario, batch size and load. Within one
    session arms alternate; two sessions differ in temperature and clocks besides, so their
    medians stand side by side without a ratio.
    """
    old, new = (
        {(s.kind.scenario, s.kind.batch_size, s.kind.load): s for s in side} for side in (a, b)
    )
    kinds = list(dict.fromkeys([*old, *new]))
    changes: list[LatencyChange] = []
    reasons = []
    for kind in kinds:
        first, second = old.get(kind), new.get(kind)
        reason = _incomparable(first, second)
        if reason:
            label = next(s.label for s in (first, second) if s is not None)
            reasons.append(f"{label}: {reason}" if len(kinds) > 1 else reason)
        elif first is not None and second is not None:
            changes += _changes(first, second, pairs)
    return tuple(changes), "; ".join(reasons) or None


def _changes(a: SessionRow, b: SessionRow, pairs: Mapping[str, str]) -> Iterator[LatencyChange]:
    for x, y in pairs.items():
        old, new = a.timings.get(x), b.timings.get(y)
        if old is None and new is None:
            continue
        same_session = a.name == b.name
        ratio = refused = None
        if old is None or new is None:
            refused = f"not timed in {'A' if old is None else 'B'}"
        elif old.latency.precision != new.latency.precision:
            refused = f"{old.latency.precision} in A, {new.latency.precision} in B"
        elif same_session and new.latency.is_paired(old.latency):
            ratio, _ = ratio_to(new.latency, old.latency)
        yield LatencyChange(
            arm=x,
            scenario=a.label,
            a=old.median_ms if old else None,
            b=new.median_ms if new else None,
            ratio=ratio,
            same_session=same_session,
            refused=refused,
        )


def _incomparable(a: SessionRow | None, b: SessionRow | None) -> str | None:
    """Why times of the two may not stand side by side: absent, invalid, or taken differently."""
    if a is None or b is None:
        return f"{'A' if a is None else 'B'} has none"
    sides = (("A", a), ("B", b))
    invalid = [f"those of {name} do not count ({s.invalid})" for name, s in sides if s.invalid]
    if invalid:
        return "; ".join(invalid)
    old, new = ({**s.facts, "num_images": str(s.num_images)} for _, s in sides)
    return mismatch(old, new, words=("in A", "in B")) or None
