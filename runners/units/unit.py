"""One arm with one seed: what is trained and evaluated once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypedDict

import yaml

from yolact_bench.results.manifest import PlannedRun
from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.run import Run
from yolact_bench.text import unit_title


class Work(Protocol):
    """What is evaluated once: a `Unit`, or the row of another framework."""

    @property
    def ablation(self) -> str: ...
    @property
    def arm(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def train_digest(self) -> str: ...  # of what decides the trained weights
    @property
    def forward_digest(self) -> str: ...  # of what decides the output of the network
    @property
    def detect_digest(self) -> str: ...  # of what decides the detections
    @property
    def slots(self) -> Mapping[str, object]: ...  # the resolved run as plain data
    @property
    def data(self) -> DatasetSpec: ...
    @property
    def split(self) -> str: ...
    @property
    def eval_data(self) -> str: ...  # fingerprint of the evaluation images
    @property
    def proxy(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One arm with one seed, fully resolved: what is trained and evaluated once."""

    ablation: str
    arm: str
    seed: int  # of the ablation, by which arms are paired; a `seed` in the arm is added to it
    run: Run
    data: DatasetSpec
    split: str = "val"  # what it is evaluated on; the fingerprint is in the run
    proxy: bool = False  # trained with a shortened schedule

    @property
    def title(self) -> str:
        """The name in progress bars and log lines."""
        return unit_title(self.arm, self.seed)

    @property
    def train_digest(self) -> str:
        return self.run.train_digest

    @property
    def forward_digest(self) -> str:
        return self.run.forward_digest

    @property
    def detect_digest(self) -> str:
        return self.run.detect_digest

    @property
    def eval_data(self) -> str:
        return self.run.eval_data

    @property
    def slots(self) -> Mapping[str, object]:
        return self.run.as_dict()


class Identity(TypedDict):
    """The fields of a record that identify its unit."""

    ablation: str
    arm: str
    seed: int
    train_digest: str
    detect_digest: str


def identity(unit: Work) -> Identity:
    """Return the fields of a record that name its unit."""
    return Identity(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        detect_digest=unit.detect_digest,
    )


def planned_run(unit: Work) -> PlannedRun:
    """Return the line of a manifest."""
    return PlannedRun(
        arm=unit.arm,
        seed=unit.seed,
        train_digest=unit.train_digest,
        forward_digest=unit.forward_digest,
        detect_digest=unit.detect_digest,
        run=unit.slots,
    )


def run_yaml(run: Run) -> str:
    """Return the resolved run as YAML that `load_detector` reads back."""
    return yaml.safe_dump(run.as_dict(), sort_keys=False, allow_unicode=True)
