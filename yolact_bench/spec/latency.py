"""How arms are timed: the spec's `latency` key."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from yolact_bench.errors import SpecError, hint
from yolact_bench.spec.loads import find_load
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
    rel_ci: float = 0.01  # half-width of the 95 % interval at which rounds end, as a fraction
    max_s: float = 300.0  # seconds of rounds, for each scenario
    batch_size: int = 1
    load: str = OWN_LOAD  # or the name of a declared detection load
    budget_ms: float | None = None  # slower arms are dropped by `run --latency-first`
    twin: bool = False  # the baseline is timed twice; the interval must contain 1

    def __post_init__(self) -> None:
        """Raise a SpecError for the first value that is wrong: key, value, what it may be."""
        for key, message in _mistakes(self):
            raise SpecError(f"{key}: {message}")

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
        raise source.error((LATENCY,), f"expected a mapping such as {{rel_ci: 0.01}}, got {data!r}")
    source.check_keys((LATENCY,), data, [field.name for field in fields(LatencyPlan)])
    values = {str(key): _convert(source, str(key), value) for key, value in data.items()}
    try:
        return LatencyPlan(**values)  # type: ignore[arg-type]
    except SpecError as error:
        key, _, message = str(error).partition(": ")
        raise source.error((LATENCY, key), message) from error


def _convert(source: Source, key: str, value: object) -> object:
    """Return a value as YAML gives it with the type of its field."""
    types: Mapping[str, tuple[tuple[type, ...], str]] = {
        "twin": ((bool,), "true or false"),
        "load": ((str,), "a word"),
        "batch_size": ((int,), "a whole number"),
        "budget_ms": ((int, float, type(None)), "a number"),
        "scenarios": ((tuple,), "a list of words"),
    }
    known, words = types.get(key, ((int, float), "a number"))
    if key == "scenarios":
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            value = tuple(items)
    if type(value) not in known:
        raise source.error((LATENCY, key), f"expected {words}, got {value!r}")
    return float(value) if type(value) is int and key != "batch_size" else value


def _mistakes(plan: LatencyPlan) -> list[tuple[str, str]]:
    """Return key and message of everything that is wrong."""
    budget = plan.budget_ms
    unknown = [word for word in plan.scenarios if word not in SCENARIOS]
    distinct = plan.scenarios and len(set(plan.scenarios)) == len(plan.scenarios)
    checks = [
        (not unknown, "scenarios", f"unknown {unknown[:1]}{hint(''.join(unknown[:1]), SCENARIOS)}"),
        (distinct, "scenarios", f"expected different ones of {', '.join(SCENARIOS)}"),
        (0 < plan.rel_ci < 1, "rel_ci", f"expected a fraction such as 0.01, got {plan.rel_ci}"),
        (plan.max_s > 0, "max_s", f"expected seconds above 0, got {plan.max_s}"),
        (plan.batch_size >= 1, "batch_size", f"expected 1 or more, got {plan.batch_size}"),
        (budget is None or budget > 0, "budget_ms", f"expected ms above 0, got {budget}"),
    ]
    if plan.load != OWN_LOAD:
        try:
            find_load(plan.load)
        except SpecError as error:
            checks.append((False, "load", str(error)))
    return [(key, message) for right, key, message in checks if not right]
