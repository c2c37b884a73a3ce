"""Records of a timing session of trained arms."""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

from runners.system.environment import environment, now
from runners.timing.calls import TimingError
from runners.timing.images import read_common_pictures
from runners.timing.session import ArmTimes, time_session
from runners.units.unit import Unit, identity
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.detector import Detector
from yolact_bench.loads import find_load
from yolact_bench.results.fingerprint import fingerprint, timing_facts
from yolact_bench.results.record import Latency
from yolact_bench.results.serialise import plain_fields
from yolact_bench.results.sessions import why_invalid
from yolact_bench.spec.latency import OWN_LOAD, LatencyPlan
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingLimits:
    """Limits of one command on the rounds of every spec."""

    rounds: int | None = None  # None: until the plan's width or time is reached
    max_seconds: float | None = None

    def apply(self, how: LatencyPlan) -> LatencyPlan:
        if self.max_seconds is None:
            return how
        return replace(how, max_s=min(how.max_s, self.max_seconds))


NO_LIMITS = TimingLimits()
# Of the smoke budget; the warm-up takes at most a quarter of the time.
SMOKE_LIMITS = TimingLimits(rounds=2, max_seconds=4.0)


def time_units(
    units: Sequence[Unit],
    scenario: str,
    *,
    how: LatencyPlan,
    baseline: str,
    rounds: int | None,
    place: Workplace,
) -> list[Latency]:
    """Return one record for each trained unit, all of one new session in one scenario.

    Raises:
        TimingError: a unit that cannot be built or called; nothing of the session is kept.
        SpecError: units that are evaluated on different images.
    """
    log.info("latency: %s, %d arms in alternating rounds on %s", scenario, len(units), place.device)
    build = partial(trained_detector, place=place)
    times = time_together(
        units, build, scenario, how=how, baseline=baseline, rounds=rounds, place=place
    )
    invalid = why_invalid(times.values())
    if invalid:
        log.error("latency: the times do not count: %s", invalid)
    session = uuid.uuid4().hex[:12]
    arms = [unit.arm for unit in units]
    return [
        replace(
            latency_record(u, times[u.arm], session, arms, place.device),
            weights_sha256=place.weights_sha256(u.run),
        )
        for u in units
    ]


def time_together(
    units: Sequence[Unit],
    build: Callable[[Run], Detector],
    scenario: str,
    *,
    how: LatencyPlan,
    baseline: str,
    rounds: int | None,
    place: Workplace,
) -> Mapping[str, ArmTimes]:
    """Return the times of the detectors of all units in one session, on their common images.

    A load that the plan declares is imposed on every arm.

    Raises:
        TimingError: a unit that cannot be built or called.
        SpecError: units that are evaluated on different images.
    """
    pictures = read_common_pictures(units, place.datasets)
    detectors: dict[str, Detector] = {}
    for unit in units:
        try:
            detectors[unit.arm] = build(unit.run)
        except Exception as error:
            raise TimingError(unit.arm) from error
    return time_session(
        detectors,
        pictures,
        scenario=scenario,
        plan=how,
        baseline=baseline if baseline in detectors else None,
        loads={} if how.load == OWN_LOAD else dict.fromkeys(detectors, find_load(how.load)),
        rounds=rounds,
    )


def latency_record(
    unit: Unit, times: ArmTimes, session: str, together: Sequence[str], device: str
) -> Latency:
    """Return what is stored of one arm's times."""
    same = {field.name: getattr(times, field.name) for field in fields(times)}
    record = Latency(
        **{**same, "facts": plain_fields(times.facts)},
        **identity(unit),
        session=session,
        interleaved_with=tuple(together),
        precision=str(unit.run.runtime.get("precision", "fp32")),
        environment=environment(device),
        time=now(),
    )
    return replace(record, fingerprint=fingerprint(timing_facts(record)))
