"""The command `latency`: arms by name, timed together, in a table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from runners.system.environment import environment, now
from runners.system.exit_codes import INVALID
from runners.timing.calls import TimingError
from runners.timing.images import read_pictures
from runners.timing.session import ArmTimes, time_session
from runners.units.resolve import resolve_unit
from runners.units.unit import Unit
from runners.units.workplace import Workplace, trained
from yolact_bench.build import build_detector, build_network, load_weights
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.results.serialise import plain_fields
from yolact_bench.results.sessions import why_invalid
from yolact_bench.results.text import aligned, decimal, milliseconds, with_interval
from yolact_bench.spec.latency import OWN, SCENARIOS, LatencyPlan
from yolact_bench.spec.loads import LOADS, UNTRAINED_LOAD, Load, find_load
from yolact_bench.statistics.timing import MIN_SAMPLES_P90, quantile

_OPTIONS = {
    "scenarios": "--scenario",
    "rel_ci": "--rel-ci",
    "max_s": "--max-seconds",
    "batch_size": "--batch",
    "load": "--load",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRequest:
    """The arguments of `latency`."""

    arms: Sequence[str]
    weights: Path | None
    dataset: str | None
    settings: Sequence[str]
    place: Workplace
    data_root: Path | None
    plan: LatencyPlan
    load: str | None  # None: a declared load for untrained arms alone
    rounds: int | None


def plan_of(**values: object) -> LatencyPlan:
    """Return the plan of the command's options; None leaves the default.

    Raises:
        SpecError: naming the option.
    """
    given = {key: value for key, value in values.items() if value is not None}
    try:
        return LatencyPlan(**given)  # type: ignore[arg-type]
    except SpecError as error:
        key, _, message = str(error).partition(": ")
        raise SpecError(f"{_OPTIONS.get(key, key)}: {message}") from error


def latency(request: LatencyRequest, *, as_json: bool) -> None:
    """Time arms in alternating rounds, with their trained weights where there are any.

    An arm without weights is given a declared detection load, as it would detect nothing real.

    Raises:
        SpecError: an invalid arm, weights or option.
    """
    units = units_of(request)
    detectors, weights = detectors_of(request, units)
    loads = loads_of(request, weights)
    times = {
        scenario: time_scenario(request, scenario, units, detectors, loads)
        for scenario in request.plan.scenarios
    }
    env = environment(request.place.device)
    if as_json:
        scenarios = {
            scenario: {arm: {**plain_fields(m), "weights": weights[arm]} for arm, m in arms.items()}
            for scenario, arms in times.items()
        }
        facts = {"environment": asdict(env), "time": now(), "scenarios": scenarios}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{env.device}, {env.threads} CPU threads, batch of {request.plan.batch_size}")
        for scenario, arms in times.items():
            for line in _lines(scenario, arms, weights):
                typer.echo(line)
    invalid = {why_invalid(arms.values()) for arms in times.values()} - {""}
    for reason in sorted(invalid):
        typer.echo(f"the times do not count: {reason}", err=True)
    if invalid:
        raise typer.Exit(INVALID)


def units_of(request: LatencyRequest) -> dict[str, Unit]:
    """Return every arm, checked.

    Raises:
        SpecError: an invalid arm, or weights for more than one.
    """
    if request.weights is not None and len(request.arms) > 1:
        raise SpecError("--weights: needs exactly one arm")
    return {
        arm: resolve_unit(
            arm, request.dataset, request.settings, request.place, request.data_root, split="val"
        )
        for arm in request.arms
    }


def detectors_of(
    request: LatencyRequest, units: Mapping[str, Unit]
) -> tuple[dict[str, Detector], dict[str, str]]:
    """Return a detector for every unit, and "given", "trained" or "untrained"."""
    detectors, sources = {}, {}
    for arm, unit in units.items():
        network = build_network(unit.run, initial=False)
        own = request.place.weights(unit.run) if trained(unit, request.place) else None
        file = request.weights or own
        if file is not None:
            load_weights(network, file)
        sources[arm] = "given" if request.weights else "trained" if own else "untrained"
        detectors[arm] = build_detector(unit.run, network, device=request.place.device)
    return detectors, sources


def loads_of(request: LatencyRequest, sources: Mapping[str, str]) -> dict[str, Load]:
    """Return the loads to impose: the requested one on all arms, or else one on untrained arms."""
    if request.load == OWN:
        return {}
    if request.load is not None:
        return dict.fromkeys(sources, find_load(request.load))
    return {arm: LOADS[UNTRAINED_LOAD] for arm, source in sources.items() if source == "untrained"}


def time_scenario(
    request: LatencyRequest,
    scenario: str,
    units: Mapping[str, Unit],
    detectors: Mapping[str, Detector],
    loads: Mapping[str, Load],
) -> Mapping[str, ArmTimes]:
    """Return the times of one scenario, on the images of the first arm's data set.

    Raises:
        Exception: whatever an arm failed with.
    """
    data = units[request.arms[0]].data
    try:
        return time_session(
            detectors,
            read_pictures(request.place.datasets.open(data, "val")),
            scenario=scenario,
            plan=request.plan,
            loads=loads,
            rounds=request.rounds,
        )
    except TimingError as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None


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
    yield from aligned([heads, *rows], left=(0, 6))
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
        milliseconds(p90),
        decimal(1000 * m.batch_size / middle, 1),
        with_interval(*m.ratio(first), 3) if first is not None else "",
        str(len(m.samples_ms)),
        f"{weights}{load}{peak}{energy}",
    )
