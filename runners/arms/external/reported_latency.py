"""The time that a framework reports of itself: a file latency.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from yolact_bench.errors import Faults, SpecError, brief, hint
from yolact_bench.json_file import read_json
from yolact_bench.option_values import check_value
from yolact_bench.ranges import Positive, Times
from yolact_bench.spec.latency import PROTOCOL_VERSION, SCENARIOS

# The meaning of end_to_end is that of our own protocol with this version; files of 1 stay valid.
LATENCY_SCHEMA = PROTOCOL_VERSION
_LATENCY_KEYS = {
    "schema": f"{LATENCY_SCHEMA}",
    "device": "what it was timed on, such as NVIDIA H200",
    "precision": "fp32, fp16, bf16, …",
    "scenario": f"end_to_end ({SCENARIOS['end_to_end']}), or what else was timed",
    "batch_size": "1",
    "samples_ms": "milliseconds of single images",
    "median_ms": "their median, where there are no samples",
    "software": "package → version",
}
_REQUIRED = ("device", "precision", "scenario")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedLatency:
    """The time that a framework reports of itself, batch of one."""

    device: str
    precision: str
    scenario: str
    samples_ms: tuple[float, ...]  # of single images; one value, the median, if that is all
    only_median: bool
    software: Mapping[str, str]
    protocol: int = 1  # version, by which end_to_end has its meaning


def read_reported_latency(path: Path) -> ReportedLatency:
    """Return the time that a latency.json reports.

    Raises:
        SpecError: keys that are missing, unknown or have a wrong value.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") not in range(1, LATENCY_SCHEMA + 1):
        keys = ", ".join(_LATENCY_KEYS)
        raise SpecError(f"{path}: expected a mapping of {keys}, with schema: {LATENCY_SCHEMA}")
    faults = Faults()
    for key in data:
        if key not in _LATENCY_KEYS:
            faults.add(SpecError(f"{path}: unknown key {brief(key)}{hint(key, _LATENCY_KEYS)}"))
    # A key that is missing may be an unknown one that is misspelt.
    needed = [key for key in _REQUIRED if key in data or not faults]
    for key in needed:
        if not isinstance(data.get(key), str) or not data[key]:
            got = f"expected {_LATENCY_KEYS[key]}, got {brief(data.get(key))}"
            faults.add(SpecError(f"{path}: {key}: {got}"))
    if data.get("batch_size", 1) != 1:
        got = f"expected 1, got {brief(data['batch_size'])}; time single images"
        faults.add(SpecError(f"{path}: batch_size: {got}"))
    software, samples = data.get("software", {}), tuple[float, ...]()
    if not isinstance(software, dict):
        got = f"expected {{package: version}}, got {brief(software)}"
        faults.add(SpecError(f"{path}: software: {got}"))
    with faults.part():
        samples = _milliseconds(path, data)
    faults.raise_any()
    return ReportedLatency(
        device=data["device"],
        precision=data["precision"],
        scenario=data["scenario"],
        samples_ms=samples,
        only_median="samples_ms" not in data,
        protocol=int(data["schema"]),
        software={str(key): str(value) for key, value in software.items()},
    )


def _milliseconds(path: Path, data: Mapping[str, object]) -> tuple[float, ...]:
    if ("samples_ms" in data) == ("median_ms" in data):
        raise SpecError(f"{path}: give either samples_ms, a list of milliseconds, or median_ms")
    if "median_ms" in data:
        median = check_value(Positive, data["median_ms"], where=f"{path}: median_ms: ")
        return (cast("float", median),)
    samples = check_value(Times, data["samples_ms"], where=f"{path}: samples_ms: ")
    return tuple(cast("list[float]", samples))
