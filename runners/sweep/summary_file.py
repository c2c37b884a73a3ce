"""sweep.json: what a report reads, from the study and nothing else."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runners.sweep.ledger import GOES_ON, LOST, REASON, RETRY_OF, SKIPPED
from runners.sweep.samplers import OVER_BUDGET
from runners.sweep.stopwatch import BASE_MS
from runners.sweep.study import Study, Tried
from runners.system.environment import environment, now
from yolact_bench.errors import SpecError
from yolact_bench.results.sweep import Objective, Sweep, Trial, load, save
from yolact_bench.spec.sweep.space import active, changes_of
from yolact_bench.spec.sweep.sweep import SweepSpec

METRICS, TRAINED, DETECTED, ORIGIN = "metrics", "train_digest", "detect_digest", "origin"
_SECONDS_BETWEEN = 5.0


@dataclass(slots=True, kw_only=True)
class Account:
    """Writes what has become of a sweep, not too often."""

    spec: SweepSpec
    study: Study
    folder: Path  # work/sweeps/<name>
    device: str
    command: str
    baseline: Mapping[str, float] = field(default_factory=dict)
    confirm: str = ""
    _before: float = 0.0  # seconds of earlier coordinators
    _began: float = field(default_factory=time.monotonic)
    _written: float = float("-inf")

    def __post_init__(self) -> None:
        """Take over what an earlier coordinator has counted."""
        try:
            earlier = load(self.folder)
        except SpecError:
            return
        self._before = earlier.seconds
        self.baseline = self.baseline or earlier.baseline
        self.confirm = self.confirm or earlier.confirm

    def write(self, *, last: bool = False) -> Sweep | None:
        """Write the account, with the importance of parameters at the `last`."""
        if not last and time.monotonic() - self._written < _SECONDS_BETWEEN:
            return None
        sweep = self.sweep(importance=last)
        save(sweep, self.folder)
        self._written = time.monotonic()
        return sweep

    def sweep(self, *, importance: bool) -> Sweep:
        """Return the account."""
        spec, study = self.spec, self.study
        spent = time.monotonic() - self._began
        return Sweep(
            name=spec.name,
            question=spec.question,
            command=self.command,
            mode=spec.mode,
            base=spec.base,
            dataset=spec.dataset,
            objectives=tuple(
                Objective(metric=one.metric, maximise=one.maximise) for one in spec.objectives
            ),
            latency_budget_ms=spec.latency.budget_ms if spec.mode == "budget" else None,
            asked=spec.trials,
            trains=spec.trains,
            baseline={**self.baseline, **self._base_time()},
            trials=tuple(
                self._trial(trial) for trial in study.trials() if trial.state != "waiting"
            ),
            best=tuple(study.best()),
            importance={
                one.metric: study.importance(index) if importance else {}
                for index, one in enumerate(spec.objectives)
            },
            sampler=f"{spec.sampler}, seed {spec.sampler_seed}",
            pruner=spec.pruner,
            environment=environment(self.device),
            seconds=self._before + spent,
            time=now(),
            confirm=self.confirm,
            settings=dict(spec.settings),
        )

    def _base_time(self) -> dict[str, float]:
        base_ms = self.study.kept(BASE_MS)
        return {"latency_ms": base_ms, "latency_ratio": 1.0} if isinstance(base_ms, float) else {}

    def _trial(self, trial: Tried) -> Trial:
        facts = trial.facts
        metrics = facts.get(METRICS, {})
        assert isinstance(metrics, dict)
        return Trial(
            number=trial.number,
            state=_state(trial),
            changes=_changes(self.spec, trial),
            params=dict(trial.params),
            metrics={str(name): float(value) for name, value in metrics.items()},
            iterations=tuple(trial.curve),
            curve=tuple(trial.curve.values()),
            train_digest=str(facts.get(TRAINED, "")),
            detect_digest=str(facts.get(DETECTED, "")),
            seconds=trial.seconds,
            reason=str(facts.get(SKIPPED) or facts.get(REASON) or ""),
            origin=_origin(facts),
        )


def _state(trial: Tried) -> str:
    if trial.state == "failed" and SKIPPED in trial.facts:
        return "skipped"
    if trial.state == "failed" and LOST in trial.facts:
        return "lost"
    if trial.state == "pruned" and OVER_BUDGET in trial.facts:
        return "over_budget"
    return trial.state


def _changes(spec: SweepSpec, trial: Tried) -> Mapping[str, object]:
    """A trial that was killed while it was asked has only a part of its parameters."""
    try:
        whole = {name for name, _ in active(spec.space, trial.params)} <= trial.params.keys()
    except KeyError:
        return {}
    return changes_of(spec.space, trial.params) if whole else {}


def _origin(facts: Mapping[str, object]) -> str:
    if RETRY_OF in facts:
        return f"retry of {facts[RETRY_OF]}"
    if GOES_ON in facts:
        return f"goes on from {facts[GOES_ON]}"
    return str(facts.get(ORIGIN, ""))
