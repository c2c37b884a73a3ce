"""The decisions of the latency-first gate: which arms are too slow to be worth a training.

Written to work/reports/<ablation>/gate.json, so that the same question is timed once.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.json_file import read_json
from yolact_bench.results.files import write_atomically
from yolact_bench.results.record import Environment
from yolact_bench.results.serialise import from_plain, to_plain

FILE_NAME = "gate.json"
_REMEDY = "remove it to time the arms again"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedArm:
    """One arm before its training."""

    arm: str
    detect_digest: str
    median_ms: float
    low_ms: float | None  # 95 % interval of the median; None: too few rounds
    high_ms: float | None
    num_samples: int

    def exceeds(self, budget_ms: float) -> bool:
        """Return whether the whole interval lies above the budget."""
        return self.low_ms is not None and self.low_ms > budget_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One session in which untrained arms were timed with a declared detection load."""

    question: str  # digest of the arms and of how they are timed: another question, another gate
    scenario: str
    load: str
    batch_size: int
    arms: tuple[TimedArm, ...]
    untimed: tuple[str, ...]  # arms that could not be timed, and are not dropped
    environment: Environment
    time: str

    def dropped_arms(self, budget_ms: float | None, *, baseline: str) -> dict[str, str]:
        """Return arm → why it is not trained; never the baseline, and nothing without a budget."""
        if budget_ms is None:
            return {}
        return {
            timed.arm: f"dropped before training: {timed.median_ms:.1f} ms > budget "
            f"{budget_ms:g} ms ({self.scenario}, load {self.load}, {self.environment.device}, "
            f"commit {self.environment.short_commit})"
            for timed in self.arms
            if timed.arm != baseline and timed.exceeds(budget_ms)
        }


def save(gate: Gate, folder: Path) -> None:
    """Write the gate into `folder`, whole or not at all."""
    text = json.dumps(to_plain(gate), indent=1, ensure_ascii=False)
    write_atomically(folder / FILE_NAME, text + "\n")


def load(folder: Path, question: str) -> Gate | None:
    """Return the gate of this question, if `folder` has it.

    Raises:
        SpecError: the file cannot be read.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        return None
    data = read_json(file, remedy=_REMEDY)
    if not isinstance(data, dict) or data.get("question") != question:
        return None
    try:
        return from_plain(Gate, data)
    except SpecError as error:
        raise SpecError(f"{file} is damaged: {error}; {_REMEDY}") from error
