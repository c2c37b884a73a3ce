"""The manifest of an ablation: its arms with their digests, as last planned.

Written to work/reports/<ablation>/manifest.json before the first arm trains, so that a report
finds the records of each arm without resolving a spec again (which would load torch).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from yolact_bench.results.serialise import JsonFile
from yolact_bench.spec.budget_names import FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One arm with one seed."""

    arm: str
    seed: int
    train_digest: str
    forward_digest: str
    detect_digest: str
    run: Mapping[str, object]  # Run.as_dict() of the resolved run; {} of an external row

    @property
    def is_external(self) -> bool:
        """Whether another program made the predictions, so that no training is known."""
        return not self.run


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The plan of a `run`, and the texts that its report prints."""

    name: str
    question: str  # first line of the spec's header comment
    command: str  # how it was started, without machine paths
    base: str
    baseline: str
    changes: tuple[str, ...]  # declared factors
    arm_changes: Mapping[str, Mapping[str, object]]  # arm → slot path → value, in table order
    seeds: tuple[int, ...]
    measure: tuple[str, ...]  # accuracy, latency, errors
    dataset: str
    paper: str | None  # rows of reports/paper.yaml to print beside ours
    expect: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    budget: str = FULL  # smoke or short: a proxy for the schedule that the spec asks for
    # Arm → why the latency-first gate left it untrained; None: without the gate.
    dropped: Mapping[str, str] | None = None
    paper_rows: Mapping[str, str] | None = None  # arm → the row of `paper` that published it

    # Data whose work began before images were part of fingerprints: "coco val".
    unrecorded_images: tuple[str, ...] = ()

    @property
    def arms_by_seed(self) -> dict[int, dict[str, str]]:
        """Seed → arm → detection digest."""
        return {
            seed: {run.arm: run.detect_digest for run in self.runs if run.seed == seed}
            for seed in self.seeds
        }


def _fault(manifest: Manifest) -> str:
    arms = {manifest.baseline, *(run.arm for run in manifest.runs)} - manifest.arm_changes.keys()
    seeds = {run.seed for run in manifest.runs} - {*manifest.seeds}
    unknown = [f"the arm {arm!r}" for arm in arms] + [f"the seed {seed}" for seed in seeds]
    return f"{unknown[0]} is not among its own" if unknown else ""


FILE = JsonFile(
    Manifest,
    name="manifest.json",
    schema=1,
    missing="no such manifest; `run` the ablation first",
    remedy="`run` the ablation again",
    fault=_fault,
)
save, load = FILE.save, FILE.load
