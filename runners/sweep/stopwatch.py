"""Latency of trials: always beside the base, in alternating rounds of one session."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from runners.ablation.latency_gate import judge, measure_untrained, with_declared_load
from runners.ablation.sessions import time_possible
from runners.sweep.study import Study
from runners.sweep.trial import BASE, timing_key
from runners.timing.calls import TimingError
from runners.timing.records import TimingLimits, time_units
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError
from yolact_bench.results.gate import TimedArm
from yolact_bench.results.record import Latency
from yolact_bench.results.sessions import why_invalid
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.spec.sweep.sweep import SweepSpec

log = logging.getLogger(__name__)

BASE_MS = "base_ms"  # fact of the study: the base's median in the first session
_MOST_SECONDS = 20.0  # per session by default: a sweep has many sessions


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """Times trials of one sweep. Nothing else may run on the device meanwhile."""

    spec: SweepSpec
    base: Unit
    place: Workplace
    timing: TimingLimits
    study: Study  # stores what later coordinators need
    quiet: Callable[[], None]  # waits until this process is idle

    def time_trained(self, units: Sequence[Unit]) -> Mapping[str, Mapping[str, float] | ArmError]:
        """Return latency_ms and latency_ratio of trained units, by arm, or the error.

        Times of two sessions are not comparable, ratios to the base within each are: latency_ms
        is the ratio times the base's median of the first session.

        Raises:
            ArmError: the session does not count, or the base cannot be timed.
        """
        self.quiet()
        errors: dict[str, Mapping[str, float] | ArmError] = {}

        def session(units: Sequence[Unit]) -> Sequence[Latency]:
            return time_units(
                [self.base, *units],
                self.plan.scenarios[0],
                how=self.plan,
                baseline=BASE,
                rounds=self.timing.rounds,
                place=self.place,
            )

        def skip(error: TimingError) -> None:
            if error.arm == BASE:
                message = f"the base cannot be timed: {error.__cause__}"
                raise ArmError("latency", message) from error
            errors[error.arm] = ArmError("latency", f"cannot be timed: {error.__cause__}")

        records = time_possible(units, session, skip)
        return errors if records is None else {**errors, **self._ratios(records)}

    def judge_untrained(self, unit: Unit) -> TimedArm | None:
        """Return the time of a unit with random weights, measured once; None if it is invalid."""
        key = f"untrained {timing_key(unit.run)}"
        earlier = self.study.fact(key)
        if isinstance(earlier, dict):
            return TimedArm(arm=unit.arm, detect_digest=unit.run.detect_digest, **earlier)
        self.quiet()
        units, how = [self.base, unit], with_declared_load(self.plan)
        measured, _ = measure_untrained(units, how, self.place, BASE, self.timing.rounds)
        if unit.arm not in measured or why_invalid(measured.values()):
            return None
        timing = judge(unit, measured[unit.arm])
        if not isinstance(self.study.fact(BASE_MS), float):
            self.study.set_fact(BASE_MS, judge(self.base, measured[BASE]).median_ms)
        names = ("median_ms", "low_ms", "high_ms", "num_samples")
        self.study.set_fact(key, {name: getattr(timing, name) for name in names})
        return timing

    @property
    def plan(self) -> LatencyPlan:
        plan = self.timing.apply(self.spec.latency)
        latency = self.spec.source.data.get("latency")
        explicit = isinstance(latency, Mapping) and "max_s" in latency
        return plan if explicit else replace(plan, max_s=min(plan.max_s, _MOST_SECONDS))

    def _ratios(self, records: Sequence[Latency]) -> Mapping[str, Mapping[str, float]]:
        invalid = why_invalid(records)
        if invalid:
            raise ArmError("latency", f"the session does not count: {invalid}")
        base, *others = records
        first = self.study.fact(BASE_MS)
        if not isinstance(first, float):
            first = base.median_ms
            self.study.set_fact(BASE_MS, first)
        ratios = {record.arm: record.median_ms / base.median_ms for record in others}
        return {
            arm: {"latency_ratio": ratio, "latency_ms": ratio * first}
            for arm, ratio in ratios.items()
        }
