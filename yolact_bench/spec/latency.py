"""How arms are timed: the spec's `latency` key."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import get_type_hints

from yolact_bench.errors import Faults, SpecError, brief, hint
from yolact_bench.loads import find_load
from yolact_bench.option_values import check_value
from yolact_bench.ranges import BatchSize, Positive, Share
from yolact_bench.yaml_source import Source

# Raised when what is timed, or how, changes: times of two versions never share a column.
# 1: a decoded image in, full-size bit masks out, a fixed number of rounds.
# 2: the scenarios below, rounds until the intervals are narrow.
PROTOCOL_VERSION = 2

SCENARIOS: Mapping[str, str] = MappingProxyType(
    {
        "model": "normalised batch on the device to raw predictions on the device",
        "detector": "decoded image on the host to detections with masks at prototype size, "
        "on the device",
        "end_to_end": "encoded image in memory to detections on the host, with masks at image "
        "size as run lengths",
    }
)
OWN_LOAD = "own"  # load: the arm's own detections
LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPlan:
    """What is timed, and when the rounds end."""

    scenarios: tuple[str, ...] = ("end_to_end",)
    rel_ci: Share = 0.01  # half-width of the 95 % interval at which rounds end, as a fraction
    max_s: Positive = 300.0  # seconds of rounds, for each scenario
    batch_size: BatchSize = 1
    load: str = OWN_LOAD  # or the name of a declared detection load
    budget_ms: Positive | None = None  # slower arms are dropped by `run --latency-first`
    twin: bool = False  # the baseline is timed twice; the interval must contain 1

    def __post_init__(self) -> None:
        """Raise a SpecError for values that are wrong: key, value, what it may be."""
        faults = Faults()
        for key, expected in _types().items():
            with faults.part():
                check_value(expected, getattr(self, key), where=f"{key}: ")
        if not faults:
            for key, message in _mistakes(self):
                faults.add(SpecError(f"{key}: {message}"))
        faults.raise_any()

    def protocol(self) -> dict[str, object]:
        """Return the protocol as a record stores it; the key `version` is always there."""
        return {"version": PROTOCOL_VERSION, "rel_ci": self.rel_ci, "max_s": self.max_s}

    @property
    def load_name(self) -> str:
        """The load as a record stores it: "" for the arm's own detections."""
        return "" if self.load == OWN_LOAD else self.load


def read_latency(source: Source) -> LatencyPlan:
    """Return the plan of a spec's `latency` key; the defaults where there is none."""
    data = source.data.get(LATENCY, {})
    if not isinstance(data, Mapping):
        raise source.unlike((LATENCY,), "a mapping such as {rel_ci: 0.01}", data)
    faults, types = Faults(), _types()
    with faults.part():
        source.check_keys((LATENCY,), data, [*types])
    scenarios = data.get("scenarios")
    if isinstance(scenarios, str):
        data = {**data, "scenarios": [scenarios]}
    values = faults.read_each(
        {
            key: partial(source.value, (LATENCY, key), types[key], one)
            for key, one in data.items()
            if key in types
        }
    )
    if "scenarios" in values:
        values["scenarios"] = tuple(values["scenarios"])
    plan = LatencyPlan()
    try:
        plan = LatencyPlan(**values)
    except SpecError as error:
        for one in error.parts or (error,):
            key, _, message = str(one).partition(": ")
            faults.add(source.error((LATENCY, key), message))
    faults.raise_any()
    return plan


@cache
def _types() -> Mapping[str, Hashable]:
    return get_type_hints(LatencyPlan, include_extras=True)


def _mistakes(plan: LatencyPlan) -> list[tuple[str, str]]:
    """Return key and message of everything that is wrong with the words."""
    unknown = [word for word in plan.scenarios if word not in SCENARIOS]
    distinct = plan.scenarios and len(set(plan.scenarios)) == len(plan.scenarios)
    checks = [
        *(
            (False, "scenarios", f"unknown {brief([word])}{hint(word, SCENARIOS)}")
            for word in unknown
        ),
        (distinct, "scenarios", f"expected different ones of {', '.join(SCENARIOS)}"),
    ]
    if plan.load != OWN_LOAD:
        try:
            find_load(plan.load)
        except SpecError as error:
            checks.append((False, "load", str(error)))
    return [(key, message) for right, key, message in checks if not right]
