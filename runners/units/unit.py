"""One arm with one seed: what is trained and evaluated once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.spec.external import Command, External
from yolact_bench.spec.run import Run
from yolact_bench.text import unit_title
from yolact_bench.yaml_text import dump_yaml


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
    def evaluation(self) -> Evaluation:
        return self.run.evaluation

    @property
    def slots(self) -> Mapping[str, object]:
        return self.run.as_dict()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalUnit:
    """One result of another framework: what is scored once."""

    ablation: str
    external: External
    seed: int
    detect_digest: str
    data: DatasetSpec
    split: str
    eval_data: str
    proxy: bool
    evaluation: Evaluation = COCO_OPTIONS  # the baseline's

    @property
    def arm(self) -> str:
        return self.external.name

    @property
    def title(self) -> str:
        return unit_title(self.arm, self.seed)

    @property
    def runs_a_command(self) -> bool:
        """Whether its predictions are made here, and not given as files."""
        return isinstance(self.external.entry, Command)

    @property
    def train_digest(self) -> str:
        """A unique name: nothing is known of its training, so nothing shares it."""
        return f"external-{self.detect_digest}"

    @property
    def forward_digest(self) -> str:
        return self.detect_digest

    @property
    def slots(self) -> Mapping[str, object]:
        return {}


Work = Unit | ExternalUnit  # what is evaluated once


def identity(unit: Work) -> dict[str, Any]:
    """Return the fields of a record that name its unit."""
    names = ("ablation", "arm", "seed", "train_digest", "detect_digest")
    return {name: getattr(unit, name) for name in names}


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
    return dump_yaml(run.as_dict())
