"""The latency-first gate: time arms before they are trained, and drop those over the budget."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from runners.ablation.sessions import time_possible
from runners.planning.plan import Plan, share_work
from runners.system.environment import environment, now
from runners.timing.calls import TimingError
from runners.timing.records import TimingLimits, time_together
from runners.timing.session import ArmTimes
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.build import build_detector, build_network
from yolact_bench.loads import UNTRAINED_LOAD
from yolact_bench.results import gate as gates
from yolact_bench.results.fingerprint import environment_facts, fingerprint
from yolact_bench.results.gate import Gate, TimedArm
from yolact_bench.results.sessions import why_invalid
from yolact_bench.spec.latency import OWN_LOAD, LatencyPlan
from yolact_bench.text import NOT_AVAILABLE, align, with_interval

log = logging.getLogger(__name__)


def drop_slow_arms(
    plan: Plan, place: Workplace, folder: Path, *, timing: TimingLimits | None = None
) -> Mapping[str, str]:
    """Return arm → why it is not worth a training; earlier times are used again.

    All arms of the first seed are timed as they are built, with random weights and a declared
    detection load. An arm is dropped if it has no result yet and the 95 % interval of its median
    lies above the spec's `latency.budget_ms`. A session that does not count drops no arm and is
    not kept.
    """
    units = [step.unit for step in plan.steps if step.unit.seed == plan.ablation.seeds[0]]
    timing, baseline = timing or TimingLimits(), plan.ablation.baseline
    how = with_declared_load(timing.apply(plan.ablation.latency))
    question = _question(units, how, place, timing.rounds)
    gate = gates.load(folder, question)
    if gate is None:
        log.info("latency first: %d arms in alternating rounds on %s", len(units), place.device)
        measured, untimed = measure_untrained(units, how, place, baseline, timing.rounds)
        if fault := why_invalid(measured.values()):
            log.warning("latency first: the session does not count (%s); no arm is dropped", fault)
            return {}
        timed = (unit for unit in units if unit.arm in measured)
        gate = Gate(
            question=question,
            scenario=how.scenarios[0],
            load=how.load,
            batch_size=how.batch_size,
            arms=tuple(timed_arm(unit, measured[unit.arm]) for unit in timed),
            untimed=tuple(untimed),
            environment=environment(place.device),
            time=now(),
        )
        gates.save(gate, folder)
    elif (source := environment(place.device).short_commit) != gate.environment.short_commit:
        log.warning(
            "latency first: the times of commit %s are used again, the source is %s now; delete %s "
            "to time the arms again",
            *(gate.environment.short_commit, source, folder / gates.FILE_NAME),
        )
    for line in lines(gate, how.budget_ms, baseline=baseline):
        log.info(line)
    done = {u.arm for u in units if place.store.accuracy(u.detect_digest) is not None}
    dropped = gate.dropped_arms(how.budget_ms, baseline=baseline)
    return {arm: reason for arm, reason in dropped.items() if arm not in done}


def with_declared_load(plan: LatencyPlan) -> LatencyPlan:
    """Return the plan with a declared load: an untrained arm has no detections worth timing."""
    return replace(plan, load=UNTRAINED_LOAD) if plan.load == OWN_LOAD else plan


def drop_arms(plan: Plan, dropped: Mapping[str, str]) -> Plan:
    """Return the plan without these arms; another takes over what they shared."""
    kept = (step for step in plan.steps if step.unit.arm not in dropped)
    return replace(plan, steps=share_work(kept))


def lines(gate: Gate, budget_ms: float | None, *, baseline: str) -> list[str]:
    """Return the table of the gate as lines of text."""
    title = (
        f"latency first: untrained, {gate.scenario}, batch of {gate.batch_size}, load "
        f"{gate.load}, {gate.environment.device}, commit {gate.environment.short_commit}"
    )
    rows = [("arm", "median ms [95 %]", "")]
    for one in gate.arms:
        both = None if one.low_ms is None or one.high_ms is None else (one.low_ms, one.high_ms)
        over = budget_ms is not None and one.exceeds(budget_ms)
        exception = ", but kept as the baseline" if one.arm == baseline else ""
        verdict = f"over the budget{exception}" if over else ""
        rows.append((one.arm, with_interval(one.median_ms, both), verdict))
    rows += [(arm, NOT_AVAILABLE, "could not be timed; kept") for arm in gate.untimed]
    unset = ["  no arm is dropped: the spec sets no latency: {budget_ms: …}"]
    return [title, *align(rows, left=(0, 2)), *(unset if budget_ms is None else [])]


def _question(units: Sequence[Unit], how: LatencyPlan, place: Workplace, rounds: int | None) -> str:
    facts = {
        "arms": [(unit.arm, unit.run.detect_digest) for unit in units],
        "scenario": how.scenarios[0],
        "load": how.load,
        "batch_size": how.batch_size,
        "protocol": how.protocol(),
        "rounds": rounds,
        "where": fingerprint(environment_facts(environment(place.device))),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def measure_untrained(
    units: Sequence[Unit], how: LatencyPlan, place: Workplace, baseline: str, rounds: int | None
) -> tuple[Mapping[str, ArmTimes], Mapping[str, str]]:
    """Time arms as they are built, together; return also why others could not be timed."""
    untimed: dict[str, str] = {}
    session = partial(
        time_together,
        build=lambda run: build_detector(
            run, build_network(run, initial=False), device=place.device
        ),
        scenario=how.scenarios[0],
        how=how,
        baseline=baseline,
        rounds=rounds,
        place=place,
    )

    def skip(error: TimingError) -> None:
        log.warning("latency first: %s: %s", error, error.__cause__)
        untimed[error.arm] = str(error.__cause__)

    return time_possible(units, session, skip) or {}, untimed


def timed_arm(unit: Unit, measured: ArmTimes) -> TimedArm:
    """Return the median and interval that a budget is compared with."""
    low_ms, high_ms = measured.interval_ms or (None, None)
    return TimedArm(
        arm=unit.arm,
        detect_digest=unit.run.detect_digest,
        median_ms=median(measured.samples_ms),
        low_ms=low_ms,
        high_ms=high_ms,
        num_samples=len(measured.samples_ms),
    )
