"""How arms are timed: the spec's `latency` key, and what the words in it mean."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from yolact_bench.errors import SpecError
from yolact_bench.slots import hint
from yolact_bench.spec.loads import find_load
from yolact_bench.spec.source import Source

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
OWN = "own"  # the load: whatever the arm itself detects
KEY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPlan:
    """What is timed, and when the rounds end."""

    scenarios: tuple[str, ...] = ("end_to_end",)
    rel_ci: float = 0.01  # half-width of the 95 % interval at which rounds end, as a fraction
    max_s: float = 300.0  # seconds of rounds, for each scenario
    batch_size: int = 1
    load: str = OWN  # or the name of a declared detection load
    budget_ms: float | None = None  # slower arms are dropped by `run --latency-first`
    twin: bool = False  # the baseline is timed twice; the interval must contain 1

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            SpecError: naming the key, what it is and what it may be.
        """
        for key, message in _mistakes(self):
            raise SpecError(f"{key}: {message}")

    def protocol(self) -> dict[str, object]:
        """Return what a record says of the protocol; the key `version` is always there."""
        return {
            "version": PROTOCOL_VERSION,
            "rel_ci": self.rel_ci,
            "max_s": self.max_s,
        }

    @property
    def load_name(self) -> str:
        """The load as a record names it: nothing for the arm's own detections."""
        return "" if self.load == OWN else self.load


def read_latency(source: Source) -> LatencyPlan:
    """Return the plan of a spec's `latency` key; the defaults where there is none.

    Raises:
        SpecError: with file, line and key.
    """
    data = source.data.get(KEY, {})
    if not isinstance(data, Mapping):
        raise source.error((KEY,), f"expected a mapping such as {{rel_ci: 0.01}}, got {data!r}")
    known = {field.name: field for field in fields(LatencyPlan)}
    source.check_keys((KEY,), data, known)
    values = {str(key): _typed(source, str(key), value) for key, value in data.items()}
    try:
        return LatencyPlan(**values)  # type: ignore[arg-type]
    except SpecError as error:
        key, _, message = str(error).partition(": ")
        raise source.error((KEY, key), message) from error


def _typed(source: Source, key: str, value: object) -> object:
    """Return a value as YAML gives it with the type of its field."""
    if key == "scenarios":
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise source.error((KEY, key), f"expected a list of words, got {value!r}")
        return tuple(value)
    if key == "twin":
        right = isinstance(value, bool)
    elif key == "load":
        right = isinstance(value, str)
    elif key == "batch_size":
        right = type(value) is int
    else:
        right = type(value) in (int, float) or (key == "budget_ms" and value is None)
    if not right:
        wanted = {"twin": "true or false", "load": "a word", "batch_size": "a whole number"}
        raise source.error((KEY, key), f"expected {wanted.get(key, 'a number')}, got {value!r}")
    return value


def _mistakes(plan: LatencyPlan) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for scenario in plan.scenarios:
        if scenario not in SCENARIOS:
            found.append(("scenarios", f"unknown {scenario!r}{hint(scenario, SCENARIOS)}"))
    if not plan.scenarios or len(set(plan.scenarios)) < len(plan.scenarios):
        found.append(("scenarios", f"expected different ones of {', '.join(SCENARIOS)}"))
    if not 0 < plan.rel_ci < 1:
        found.append(("rel_ci", f"expected a fraction such as 0.01 (1 %), got {plan.rel_ci}"))
    if plan.max_s <= 0:
        found.append(("max_s", f"expected seconds above 0, got {plan.max_s}"))
    if plan.batch_size < 1:
        found.append(("batch_size", f"expected 1 or more, got {plan.batch_size}"))
    if plan.budget_ms is not None and plan.budget_ms <= 0:
        found.append(("budget_ms", f"expected milliseconds above 0, got {plan.budget_ms}"))
    if plan.load != OWN:
        try:
            find_load(plan.load)
        except SpecError as error:
            found.append(("load", str(error)))
    return found
