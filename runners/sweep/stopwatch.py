"""Latency of trials: always beside the base, in alternating rounds of one session."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from runners.ablation.latency_gate import measure_untrained, timed_arm, with_declared_load
from runners.ablation.sessions import time_possible
from runners.sweep import fact
from runners.sweep.study import Study
from runners.sweep.trial import BASE, timing_key
from runners.system.environment import environment
from runners.timing.calls import TimingError
from runners.timing.records import TimingLimits, time_units
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError
from yolact_bench.results.gate import TimedArm
from yolact_bench.results.record import Latency
from yolact_bench.results.sessions import Times, why_invalid
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.spec.sweep.sweep import SweepSpec
from yolact_bench.statistics.timing import paired_ratio

log = logging.getLogger(__name__)

_RATIO = "latency_ratio"


class InvalidSessionError(ArmError):
    """A timing session does not count; another one may."""


class UntrainedTrial(NamedTuple):
    """What was measured of a unit before its training."""

    timing: TimedArm  # in milliseconds of its own session, which a budget is compared with
    metrics: Mapping[str, float]  # latency_ms and latency_ratio as of `time_trained`


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
            InvalidSessionError: the session does not count.
            ArmError: the base cannot be timed.
        """
        self._prepare()
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

    def judge_untrained(self, unit: Unit) -> UntrainedTrial:
        """Return the time of a unit with random weights, measured once.

        Raises:
            ArmError: as `time_trained`, or the unit cannot be timed.
        """
        key = f"untrained {timing_key(unit.run)}"
        stored = self.study.fact(key)
        if not isinstance(stored, dict):
            stored = self._time_untrained(unit)
            self.study.set_fact(key, stored)
        fields: dict[str, Any] = {name: value for name, value in stored.items() if name != _RATIO}
        timing = TimedArm(arm=unit.arm, detect_digest=unit.run.detect_digest, **fields)
        return UntrainedTrial(timing, self._metrics(stored[_RATIO]))

    def _time_untrained(self, unit: Unit) -> dict[str, Any]:
        """Return the fields of a `TimedArm`, and its ratio to the base of the same session."""
        self._prepare()
        units, how = [self.base, unit], with_declared_load(self.plan)
        measured, untimed = measure_untrained(units, how, self.place, BASE, self.timing.rounds)
        for arm, reason in untimed.items():
            raise ArmError("latency", f"{arm} cannot be timed: {reason}")
        _check_session(measured.values())
        timing = timed_arm(unit, measured[unit.arm])
        names = ("median_ms", "low_ms", "high_ms", "num_samples")
        fields = {name: getattr(timing, name) for name in names}
        return {**fields, _RATIO: self._ratio(measured[unit.arm], measured[BASE])}

    def _prepare(self) -> None:
        """Wait until nothing else runs, and note the commit under which times are taken now.

        An earlier commit is no reason to begin anew, but its times may be those of other code.
        """
        self.quiet()
        here, known = environment(self.place.device).short_commit, self.study.fact(fact.COMMITS)
        if known is None and self.study.fact(fact.BASE_MS) is not None:
            known = ["unknown"]  # a study of an earlier version
        commits = known if isinstance(known, list) else []
        if here in commits:
            return
        if commits:
            log.warning("sweep times: until now of commit %s, now of %s", ", ".join(commits), here)
        self.study.set_fact(fact.COMMITS, [*commits, here])

    @property
    def plan(self) -> LatencyPlan:
        return self.timing.apply(self.spec.trial_timing)

    def _ratios(self, records: Sequence[Latency]) -> Mapping[str, Mapping[str, float]]:
        _check_session(records)
        base, *others = records
        return {record.arm: self._metrics(self._ratio(record, base)) for record in others}

    def _ratio(self, arm: Times, base: Times) -> float:
        """Return the paired ratio of two arms of a session, which may be the study's first."""
        if self.study.fact(fact.BASE_MS) is None:
            self.study.set_fact(fact.BASE_MS, median(base.samples_ms))
        return paired_ratio(arm.samples_ms, base.samples_ms, resamples=0)[0]

    def _metrics(self, ratio: float) -> Mapping[str, float]:
        first = self.study.fact(fact.BASE_MS)
        assert isinstance(first, float)
        return {_RATIO: ratio, "latency_ms": ratio * first}


def _check_session(arms: Iterable[Times]) -> None:
    if invalid := why_invalid(arms):
        raise InvalidSessionError("latency", f"the session does not count: {invalid}")
