"""What must be equal for two times to stand in one column: hardware, software and protocol."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.record import Environment, Latency


def environment_facts(environment: Environment) -> dict[str, str]:
    """Return hardware and software by name.

    The commit is left out: it identifies the code, and is compared on its own.
    """
    plain = asdict(environment)
    versions = plain.pop("versions")
    del plain["commit"], plain["dirty"]
    return {key: str(value) for key, value in {**plain, **versions}.items()}


def timing_facts(latency: Latency) -> dict[str, str]:
    """Return everything two times must have in common, by name.

    Precision and runtime are not among them: they are what arms differ in.
    """
    facts = environment_facts(latency.environment)
    device = read_device_facts(latency.facts)
    if device is not None and device.gpu is not None:
        facts["GPU memory"] = f"{device.gpu.memory_gib:.0f} GiB"
        facts["MIG"] = device.gpu.mig
    facts["timer"] = latency.timer
    facts["scenario"] = latency.scenario
    facts["batch size"] = str(latency.batch_size)
    facts["detections"] = latency.load or "its own"
    # Only the version of the protocol: the outcome of a session, such as its number of rounds,
    # does not make it another protocol.
    facts["protocol version"] = str(latency.protocol.version)
    return facts


def fingerprint(facts: Mapping[str, str]) -> str:
    """Return 16 hex digits that agree where all facts do."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:16]


def mismatch(
    here: Mapping[str, str], there: Mapping[str, str], *, words: tuple[str, str] = ("here", "there")
) -> str:
    """Return in words what differs, "driver 570.1 here, 575.2 there"; "" where nothing does."""
    return "; ".join(
        f"{what.replace('_', ' ')} {here.get(what) or 'unknown'} {words[0]}, "
        f"{there.get(what) or 'unknown'} {words[1]}"
        for what in dict.fromkeys([*here, *there])
        if here.get(what) != there.get(what)
    )
