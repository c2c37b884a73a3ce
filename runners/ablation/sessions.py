"""Timing sessions of an ablation: all arms with a result, timed together."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from runners.ablation.context import AblationContext
from runners.arms.failure import failure_record, free_memory
from runners.planning.plan import Plan
from runners.planning.units import session_of, units_to_time
from runners.timing.calls import TimingError
from runners.timing.records import time_units
from runners.units.unit import Unit
from yolact_bench.results.record import Latency
from yolact_bench.results.sessions import why_invalid

log = logging.getLogger(__name__)

T = TypeVar("T")


def time_arms(plan: Plan, context: AblationContext) -> None:
    """Time all arms that have a result, in one session for each scenario, unless there is one.

    An arm that cannot be timed becomes a failure, and the others are timed without it.
    """
    evaluated = [
        step.unit
        for step in plan.steps
        if context.store.accuracy(step.unit.detect_digest) is not None
    ]
    for scenario in plan.ablation.latency.scenarios:
        retry = context.retry_failed
        units = units_to_time(plan.ablation, evaluated, context.store, retry_failed=retry)
        session = partial(_time, scenario=scenario, plan=plan, context=context)
        timed = time_possible(units, session, partial(_keep_failure, units, context)) or ()
        invalid = why_invalid(latency for _, latency in timed)
        baseline = plan.ablation.baseline
        reference = next((latency for unit, latency in timed if unit.arm == baseline), None)
        for unit, latency in timed:
            own = replace(latency, arm=unit.arm, seed=unit.seed, invalid=invalid)
            context.tracker.log_record(own, reference=reference)


def _keep_failure(units: Sequence[Unit], context: AblationContext, error: TimingError) -> None:
    unit = next(unit for unit in units if unit.arm == error.arm)
    assert isinstance(error.__cause__, Exception)
    context.keep(failure_record(unit, context.place, "latency", error.__cause__))
    free_memory()


def time_possible(
    units: Sequence[Unit],
    session: Callable[[Sequence[Unit]], T],
    on_error: Callable[[TimingError], None],
) -> T | None:
    """Return `session(units)`, repeated without the arms that cannot be timed; None without any."""
    while units:
        try:
            return session(units)
        except TimingError as error:
            on_error(error)
            others = [unit for unit in units if unit.arm != error.arm]
            if len(others) == len(units):
                raise  # no unit of that name is left to leave out
            units = others
    return None


def _time(
    units: Sequence[Unit], scenario: str, plan: Plan, context: AblationContext
) -> Sequence[tuple[Unit, Latency]]:
    """Return units with their times: those of an earlier session that counts, or of a new one."""
    session, reason = session_of(plan.ablation, scenario, units, context.place, context.timing)
    if session is not None:
        return [(unit, session.records[unit.detect_digest]) for unit in units]
    if reason:
        log.info("latency: %s is timed again, as of the session before %s", scenario, reason)
    context.tracker.drain()  # its thread would be timed too
    records = time_units(
        units,
        scenario,
        how=context.timing.apply(plan.ablation.latency),
        baseline=plan.ablation.baseline,
        rounds=context.timing.rounds,
        place=context.place,
    )
    for record in records:
        context.store.add(record)
    return list(zip(units, records, strict=True))
