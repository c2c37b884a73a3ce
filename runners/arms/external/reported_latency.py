"""The time that a framework reports of itself: a file latency.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.coco_fields import is_number
from yolact_bench.errors import SpecError, hint
from yolact_bench.json_file import read_json
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
        SpecError: a key is missing, unknown or has a wrong value.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") not in range(1, LATENCY_SCHEMA + 1):
        keys = ", ".join(_LATENCY_KEYS)
        raise SpecError(f"{path}: expected a mapping of {keys}, with schema: {LATENCY_SCHEMA}")
    for key in data:
        if key not in _LATENCY_KEYS:
            raise SpecError(f"{path}: unknown key {key!r}{hint(key, _LATENCY_KEYS)}")
    for key in _REQUIRED:
        if not isinstance(data.get(key), str) or not data[key]:
            raise SpecError(f"{path}: {key}: expected {_LATENCY_KEYS[key]}, got {data.get(key)!r}")
    if data.get("batch_size", 1) != 1:
        got = data["batch_size"]
        raise SpecError(f"{path}: batch_size: expected 1, got {got!r}; time single images")
    software = data.get("software", {})
    if not isinstance(software, dict):
        raise SpecError(f"{path}: software: expected {{package: version}}, got {software!r}")
    return ReportedLatency(
        device=data["device"],
        precision=data["precision"],
        scenario=data["scenario"],
        samples_ms=_milliseconds(path, data),
        only_median="samples_ms" not in data,
        protocol=int(data["schema"]),
        software={str(key): str(value) for key, value in software.items()},
    )


def _milliseconds(path: Path, data: Mapping[str, object]) -> tuple[float, ...]:
    if ("samples_ms" in data) == ("median_ms" in data):
        raise SpecError(f"{path}: give either samples_ms, a list of milliseconds, or median_ms")
    samples = data.get("samples_ms", [data.get("median_ms")])
    if not isinstance(samples, list) or not samples:
        raise SpecError(f"{path}: samples_ms: expected such as [9.8, 10.1], got {samples!r}")
    for sample in samples:
        if not is_number(sample) or sample <= 0:
            raise SpecError(f"{path}: expected milliseconds above 0, got {sample!r}")
    return tuple(float(sample) for sample in samples)
