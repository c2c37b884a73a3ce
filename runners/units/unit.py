"""One arm with one seed: what is trained and evaluated once."""

from dataclasses import dataclass

import yaml

from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One arm with one seed, fully resolved: what is trained and evaluated once."""

    ablation: str
    arm: str
    seed: int  # of the ablation, by which arms are paired; an arm's own `seed` is added to it
    run: Run
    data: DatasetSpec
    split: str = "val"  # what it is evaluated on; the fingerprint is in the run
    proxy: bool = False  # a shortened schedule stands in for the one that was asked for

    @property
    def title(self) -> str:
        """How progress and log lines call it."""
        return f"{self.arm} seed {self.seed}" if self.seed else self.arm


def run_yaml(run: Run) -> str:
    """Return the resolved run as YAML that `load_detector` reads back."""
    return yaml.safe_dump(run.as_dict(), sort_keys=False, allow_unicode=True)
