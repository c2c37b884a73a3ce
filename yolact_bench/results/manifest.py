"""The manifest of an ablation: its arms with their digests, as last planned.

Written to work/reports/<ablation>/manifest.json before the first arm trains, so that a report
finds the records of each arm without resolving a spec again (which would load torch).
"""

from collections.abc import Mapping
from dataclasses import dataclass

MANIFEST_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One arm with one seed."""

    arm: str
    seed: int
    train_digest: str
    forward_digest: str
    detect_digest: str
    run: Mapping[str, object]  # Run.as_dict() of the resolved run


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `run` set out to do, and the words a report needs to tell it."""

    name: str
    question: str  # first line of the spec's header comment
    command: str  # how it was started, without machine paths
    base: str
    baseline: str
    changes: tuple[str, ...]  # declared factors
    arm_changes: Mapping[str, Mapping[str, object]]  # arm → slot path → value, in table order
    seeds: tuple[int, ...]
    measure: tuple[str, ...]  # accuracy, latency
    dataset: str
    paper: str | None  # rows of reports/paper.yaml to print beside ours
    expect: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
