"""The command `latency`: arms by name, timed together, told in a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from runners.system.environment import environment, now
from runners.system.exit_codes import INVALID
from runners.timing.calls import TimingError
from runners.timing.images import Picture, read_pictures
from runners.timing.session import Measured, measure
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
from yolact_bench.statistics.timing import (
    MIN_SAMPLES_P90,
    Interval,
    median_interval,
    paired_ratio,
    period_of,
    quantile,
)

_OPTIONS = {
    "scenarios": "--scenario",
    "rel_ci": "--rel-ci",
    "max_s": "--max-seconds",
    "batch_size": "--batch",
    "load": "--load",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks to be timed."""

    arms: Sequence[str]
    weights: Path | None
    dataset: str | None
    settings: Sequence[str]
    place: Workplace
    data_root: Path | None
    plan: LatencyPlan
    load: str | None  # as named; None: by whether an arm is trained
    rounds: int | None


def plan_of(**values: object) -> LatencyPlan:
    """Return the plan of the command's options, those that were given.

    Raises:
        SpecError: naming the option.
    """
    given = {key: value for key, value in values.items() if value is not None}
    try:
        return LatencyPlan(**given)  # type: ignore[arg-type]
    except SpecError as error:
        key, _, message = str(error).partition(": ")
        raise SpecError(f"{_OPTIONS.get(key, key)}: {message}") from error


def latency(request: Request, *, as_json: bool) -> None:
    """Time arms in alternating rounds, with their trained weights where there are any.

    An arm without weights is given a declared detection load, as it would find nothing real.

    Raises:
        SpecError: an arm, weights or option that cannot be.
    """
    units = units_of(request)
    detectors, weights = detectors_of(request, units)
    loads = loads_of(request, weights)
    pictures = read_pictures(request.place.datasets.open(units[request.arms[0]].data, "val"))
    found = {
        scenario: timed(detectors, pictures, request, scenario=scenario, loads=loads)
        for scenario in request.plan.scenarios
    }
    env = environment(request.place.device)
    if as_json:
        scenarios = {
            scenario: {
                arm: {**plain_fields(m), "weights": weights[arm]} for arm, m in measured.items()
            }
            for scenario, measured in found.items()
        }
        facts = {"environment": asdict(env), "time": now(), "scenarios": scenarios}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{env.device}, {env.threads} CPU threads, batch of {request.plan.batch_size}")
        for scenario, measured in found.items():
            for line in _lines(scenario, measured, weights):
                typer.echo(line)
    invalid = {why_invalid(measured.values()) for measured in found.values()} - {""}
    for reason in sorted(invalid):
        typer.echo(f"the measurement does not count: {reason}", err=True)
    if invalid:
        raise typer.Exit(INVALID)


def units_of(request: Request) -> dict[str, Unit]:
    """Return every arm, checked.

    Raises:
        SpecError: an arm that cannot be, or weights for more than one.
    """
    if request.weights is not None and len(request.arms) > 1:
        raise SpecError("--weights: belongs to one arm; name one, or leave it out")
    return {
        arm: resolve_unit(
            arm, request.dataset, request.settings, request.place, request.data_root, split="val"
        )
        for arm in request.arms
    }


def detectors_of(
    request: Request, units: Mapping[str, Unit]
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


def loads_of(request: Request, sources: Mapping[str, str]) -> dict[str, Load]:
    """Return the load of every arm that gets one: of all if it is named, else of untrained ones."""
    if request.load == OWN:
        return {}
    if request.load is not None:
        return dict.fromkeys(sources, find_load(request.load))
    return {arm: LOADS[UNTRAINED_LOAD] for arm, source in sources.items() if source == "untrained"}


def timed(
    detectors: Mapping[str, Detector],
    pictures: Sequence[Picture],
    request: Request,
    *,
    scenario: str,
    loads: Mapping[str, Load],
) -> Mapping[str, Measured]:
    """Return the times of one scenario.

    Raises:
        Exception: whatever an arm failed with.
    """
    try:
        return measure(
            detectors,
            pictures,
            scenario=scenario,
            plan=request.plan,
            loads=loads,
            rounds=request.rounds,
        )
    except TimingError as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None


def interval_of(m: Measured) -> Interval | None:
    """Return the 95 % interval of an arm's median, in ms."""
    return median_interval(m.samples_ms, period=period_of(m.image_ids), calls=_calls(m))


def _calls(m: Measured) -> int:
    return m.protocol.calls_per_round


def _lines(
    scenario: str, measured: Mapping[str, Measured], sources: Mapping[str, str]
) -> list[str]:
    first = next(iter(measured.values()))
    lines = ["", f"{scenario}: {SCENARIOS[scenario]}; {first.timer}, {_end(first)}"]
    rows: list[tuple[str, ...]] = [
        ("arm", "median ms [95 %]", "p90", "fps", f"× {next(iter(measured))}", "n", "weights")
    ]
    rows += [_row(arm, m, first, sources[arm]) for arm, m in measured.items()]
    lines += aligned(rows, left=(0, 6))
    notes = dict.fromkeys(note for m in measured.values() for note in _notes(m))
    loads = {m.load for m in measured.values() if m.load}
    legends = [f"† {load}: {find_load(load).source}" for load in sorted(loads)]
    return [*lines, *(f"  {note}" for note in (*notes, *legends))]


def _row(arm: str, m: Measured, first: Measured, source: str) -> tuple[str, ...]:
    middle = quantile(m.samples_ms, 0.5)
    p90 = quantile(m.samples_ms, 0.9) if len(m.samples_ms) >= MIN_SAMPLES_P90 else None
    load = f", load {m.load} †" if m.load else ""
    peak = "" if m.peak_memory_mb is None else f", peak {m.peak_memory_mb:.0f} MB"
    energy = "" if m.energy_mj is None else f", {m.energy_mj:.0f} mJ an image"
    return (
        arm,
        with_interval(middle, interval_of(m)),
        milliseconds(p90),
        decimal(1000 * m.batch_size / middle, 1),
        _ratio(m, first),
        str(len(m.samples_ms)),
        f"{source}{load}{peak}{energy}",
    )


def _end(m: Measured) -> str:
    words = {"narrow": "as narrow as asked", "time": "out of time", "rounds": "all rounds made"}
    return f"{m.protocol.rounds} rounds, {words[m.protocol.ended]}"


def _notes(m: Measured) -> list[str]:
    restless = [] if m.protocol.warmup_stable else ["not every arm was stable after its warm-up"]
    return [*restless, *m.protocol.stage_notes, *m.facts.warnings]


def _ratio(m: Measured, first: Measured) -> str:
    if m is first:
        return ""
    ratio, interval = paired_ratio(
        m.samples_ms, first.samples_ms, period=period_of(m.image_ids), calls=_calls(m)
    )
    return with_interval(ratio, interval, 3)
