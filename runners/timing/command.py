"""The command `latency`: arms by name, timed together, in a table."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from runners.system.environment import environment, now
from runners.system.exit_codes import exit_if_invalid
from runners.system.output import echo
from runners.timing.request import LatencyRequest
from runners.timing.session import ArmTimes
from yolact_bench.errors import SpecError
from yolact_bench.loads import find_load
from yolact_bench.results.serialise import plain_fields
from yolact_bench.results.sessions import why_invalid
from yolact_bench.spec.latency import SCENARIOS, LatencyPlan
from yolact_bench.statistics.quantile import quantile
from yolact_bench.statistics.timing import MIN_SAMPLES_P90
from yolact_bench.text import align, decimal, with_interval

_OPTIONS = {
    "scenarios": "--scenario",
    "rel_ci": "--rel-ci",
    "max_s": "--max-seconds",
    "batch_size": "--batch",
    "load": "--load",
}


def plan_of(**values: object) -> LatencyPlan:
    """Return the plan of the command's options; None leaves the default.

    Raises:
        SpecError: naming the option.
    """
    options = {key: value for key, value in values.items() if value is not None}
    try:
        return LatencyPlan(**options)  # type: ignore[arg-type]
    except SpecError as error:
        key, _, message = str(error).partition(": ")
        raise SpecError(f"{_OPTIONS.get(key, key)}: {message}") from error


def latency(request: LatencyRequest, *, as_json: bool) -> None:
    """Time arms in alternating rounds, with their trained weights where there are any.

    Arms without weights are given a declared detection load, as they would detect nothing real.

    Raises:
        SpecError: an invalid arm, weights or option; weights for some arms, and no declared load.
    """
    units = request.units()
    detectors, weights = request.detectors(units)
    loads = request.loads(weights)
    times = {
        scenario: request.times(scenario, units, detectors, loads)
        for scenario in request.plan.scenarios
    }
    env = environment(request.place.device)
    if as_json:
        scenarios = {
            scenario: {arm: {**plain_fields(m), "weights": weights[arm]} for arm, m in arms.items()}
            for scenario, arms in times.items()
        }
        facts = {"environment": asdict(env), "time": now(), "scenarios": scenarios}
        echo(json.dumps(facts))
    else:
        echo(f"{env.device}, {env.threads} CPU threads, batch of {request.plan.batch_size}")
        for scenario, arms in times.items():
            for line in _lines(scenario, arms, weights):
                echo(line)
    exit_if_invalid(why_invalid(arms.values()) for arms in times.values())


def _lines(
    scenario: str, times: Mapping[str, ArmTimes], weights: Mapping[str, str]
) -> Iterator[str]:
    baseline, first = next(iter(times.items()))
    ends = {"narrow": "target width reached", "time": "time limit", "rounds": "round limit"}
    yield ""
    yield (
        f"{scenario}: {SCENARIOS[scenario]}; {first.timer}, {first.protocol.rounds} rounds, "
        f"{ends[first.protocol.ended]}"
    )
    heads = ("arm", "median ms [95 %]", "p90", "fps", f"× {baseline}", "n", "weights")
    rows = [_row(arm, m, None if m is first else first, weights[arm]) for arm, m in times.items()]
    yield from align([heads, *rows], left=(0, 6))
    notes = []
    for m in times.values():
        if not m.protocol.warmup_stable:
            notes.append("not every arm was stable after its warm-up")
        notes += [*m.protocol.stage_notes, *m.facts.warnings]
    loads = sorted({m.load for m in times.values() if m.load})
    legends = [f"† {load}: {find_load(load).source}" for load in loads]
    yield from (f"  {note}" for note in dict.fromkeys([*notes, *legends]))


def _row(arm: str, m: ArmTimes, first: ArmTimes | None, weights: str) -> tuple[str, ...]:
    middle = quantile(m.samples_ms, 0.5)
    p90 = quantile(m.samples_ms, 0.9) if len(m.samples_ms) >= MIN_SAMPLES_P90 else None
    load = f", load {m.load} †" if m.load else ""
    peak = "" if m.peak_memory_mb is None else f", peak {m.peak_memory_mb:.0f} MB"
    energy = "" if m.energy_mj is None else f", {m.energy_mj:.0f} mJ per image"
    return (
        arm,
        with_interval(middle, m.interval_ms),
        decimal(p90),
        decimal(1000 * m.batch_size / middle, 1),
        with_interval(*m.ratio(first), 3) if first is not None else "",
        str(len(m.samples_ms)),
        f"{weights}{load}{peak}{energy}",
    )
