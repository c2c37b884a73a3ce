"""A sweep as a report reads it: written by the coordinator after every change, whole or not."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from yolact_bench.results.record import Environment
from yolact_bench.results.serialise import JsonFile
from yolact_bench.spec.budget_names import FULL
from yolact_bench.spec.sweep.keys import Objective

# complete: all objectives are known. pruned: stopped early, behind other trials.
# over_budget: not trained, as its latency was over the budget. failed: ended with a reason, or
# its times did not count twice. lost: its coordinator ended, or its times do not count, and its
# choice is tried again; if that was lost as well, another choice replaces it.
# skipped: the same choice as another trial. running: not ended.


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of parameters, and its outcome."""

    number: int  # in the study, from 0
    state: str  # one of those above
    changes: Mapping[str, object]  # slot path → value: what an arm of an ablation would say
    params: Mapping[str, object]  # as the study has them: path, or slot.component.option → value
    metrics: Mapping[str, float]  # objectives and what was measured beside them, by name
    iterations: tuple[int, ...]  # of the points of `curve`; of trials that train
    curve: tuple[float, ...]  # proxy validation AP, by which trials are pruned
    train_digest: str
    detect_digest: str
    seconds: float | None  # from the proposal to the result
    reason: str  # why it is not complete; "" if it is
    origin: str  # "" if the sampler proposed it; "retry of 12", "arm nms_matrix of quickstart"

    @property
    def is_seed(self) -> bool:
        """Whether it is an arm of an ablation, which took the sweep no time."""
        return self.origin.startswith("arm ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A study so far."""

    name: str
    question: str
    command: str  # how it was started, without machine paths
    mode: str  # single, pareto or budget
    base: str
    dataset: str
    objectives: tuple[Objective, ...]
    latency_budget_ms: float | None
    num_trials: int = field(metadata={"json": "asked"})  # in the spec
    trains: bool  # False: every trial is a replay of stored forward passes
    # Metrics of the base itself; empty where they are not known.
    base_metrics: Mapping[str, float] = field(metadata={"json": "baseline"})
    trials: tuple[Trial, ...]
    best: tuple[int, ...]  # numbers of the best trial, or of the front, best first objective first
    importance: Mapping[str, Mapping[str, float]]  # objective → parameter → share, largest first
    sampler: str  # for people, with its seed
    pruner: str
    environment: Environment
    seconds: float  # that coordinators have spent on it
    time: str  # ISO 8601, UTC
    confirm: str = ""  # the ablation that has run the front again with more seeds
    # Slot path → value of what the spec sets in the base and in every trial.
    settings: Mapping[str, object] = field(default_factory=dict)
    budget: str = FULL  # smoke or short: a proxy for the schedule that the spec asks for
    commits: tuple[str, ...] = ()  # under which times were taken

    def omitted_fields(self) -> frozenset[str]:
        """Fields that the JSON form leaves out: those that older versions do not read."""
        needed = {"budget": self.budget != FULL, "commits": len(self.commits) > 1}
        return frozenset(name for name, is_needed in needed.items() if not is_needed)

    @property
    def proxy(self) -> str | None:
        """The budget, if it stands in for the one that the spec asks for."""
        # Files of earlier versions have it in their command alone.
        earlier = re.search(r"--budget[ =](smoke|short)\b", self.command)
        return (earlier and earlier[1]) if self.budget == FULL else self.budget

    @property
    def states(self) -> Counter[str]:
        """How many trials are in each state that occurs."""
        return Counter(trial.state for trial in self.trials)


def _fault(sweep: Sweep) -> str:
    if {*sweep.best} - {trial.number for trial in sweep.trials}:
        return "its best trial is not among its own"
    odd = [one.number for one in sweep.trials if len(one.iterations) != len(one.curve)]
    return f"the curve of trial {odd[0]} is not whole" if odd else ""


FILE = JsonFile(  # in work/sweeps/<name>/
    Sweep,
    name="sweep.json",
    schema=1,
    missing="no such sweep; `yolact-bench sweep` its spec first",
    remedy="`sweep` its spec again",
    fault=_fault,
)
save, load = FILE.save, FILE.load
