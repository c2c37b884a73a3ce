"""sweep.json, from which the report is built; derived from the study alone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runners.sweep import fact
from runners.sweep.study import Study, StudyTrial
from runners.system.environment import environment, now
from yolact_bench.errors import SpecError
from yolact_bench.results.sweep import Sweep, Trial, load, save
from yolact_bench.spec.sweep.space import changes_of
from yolact_bench.spec.sweep.sweep import SweepSpec

_SECONDS_BETWEEN = 5.0


@dataclass(slots=True, kw_only=True)
class SweepSummary:
    """Writes the state of a sweep, at most every few seconds."""

    spec: SweepSpec
    study: Study
    folder: Path  # work/sweeps/<name>
    device: str
    command: str
    base_metrics: Mapping[str, float] = field(default_factory=dict)
    confirm: str = ""
    _before: float = 0.0  # seconds of earlier coordinators
    _states_before: Mapping[int, str] = field(default_factory=dict)  # of the trials they left
    _began: float = field(default_factory=time.monotonic)
    _written: float = float("-inf")

    def __post_init__(self) -> None:
        """Continue the totals of an earlier coordinator."""
        try:
            earlier = load(self.folder)
        except SpecError:
            return
        self._before = earlier.seconds
        self._states_before = {trial.number: trial.state for trial in earlier.trials}
        self.base_metrics = self.base_metrics or earlier.base_metrics
        self.confirm = self.confirm or earlier.confirm

    def write_if_due(self) -> None:
        """Write the current state, unless it has just been written."""
        if time.monotonic() - self._written >= _SECONDS_BETWEEN:
            self.write(importance=False)

    def write(self, *, importance: bool = True) -> Sweep:
        """Write and return the state; the importance of parameters takes seconds to compute."""
        spec, study = self.spec, self.study
        base_ms, commits = study.fact(fact.BASE_MS), study.fact(fact.COMMITS)
        own = {"latency_ms": base_ms, "latency_ratio": 1.0} if isinstance(base_ms, float) else {}
        trials = tuple(self._trial(t) for t in study.trials() if t.state != "waiting")
        # A repetition that finds nothing to do does not count.
        is_active = {trial.number: trial.state for trial in trials} != self._states_before
        sweep = Sweep(
            name=spec.name,
            question=spec.question,
            command=self.command,
            mode=spec.mode,
            base=spec.base,
            dataset=spec.dataset,
            objectives=spec.objectives,
            latency_budget_ms=spec.budget_ms,
            num_trials=spec.trials,
            trains=spec.trains,
            base_metrics={**self.base_metrics, **own},
            trials=trials,
            best=tuple(study.best()),
            importance={
                one.metric: study.importance(index) if importance else {}
                for index, one in enumerate(spec.objectives)
            },
            sampler=f"{spec.sampler}, seed {spec.sampler_seed}",
            pruner=spec.pruner,
            environment=environment(self.device),
            seconds=self._before + (time.monotonic() - self._began if is_active else 0.0),
            time=now(),
            confirm=self.confirm,
            settings=dict(spec.settings),
            budget=spec.budget,
            commits=tuple(map(str, commits)) if isinstance(commits, list) else (),
        )
        save(sweep, self.folder)
        self._written = time.monotonic()
        return sweep

    def _trial(self, trial: StudyTrial) -> Trial:
        facts, space = trial.facts, self.spec.space
        return Trial(
            number=trial.number,
            state=_state(trial),
            # A kill while its parameters were drawn leaves only some of them.
            changes=self.spec.spelt_out(changes_of(space, trial.params))
            if trial.is_complete(space)
            else {},
            params=dict(trial.params),
            metrics={str(name): float(value) for name, value in trial.metrics.items()},
            iterations=tuple(trial.curve),
            curve=tuple(trial.curve.values()),
            train_digest=str(facts.get(fact.TRAINED, "")),
            detect_digest=str(facts.get(fact.DETECTED, "")),
            seconds=trial.seconds,
            reason=str(facts.get(fact.SKIPPED) or facts.get(fact.REASON) or ""),
            origin=_origin(facts),
        )


def _state(trial: StudyTrial) -> str:
    if trial.state == "failed" and fact.SKIPPED in trial.facts:
        return "skipped"
    if trial.state == "failed" and fact.LOST in trial.facts:
        return "lost"
    if trial.state == "pruned" and fact.OVER_BUDGET in trial.facts:
        return "over_budget"
    return trial.state


def _origin(facts: Mapping[str, object]) -> str:
    if fact.RETRY_OF in facts:
        return f"retry of {facts[fact.RETRY_OF]}"
    if fact.RESUMES in facts:
        return f"resumes {facts[fact.RESUMES]}"
    return str(facts.get(fact.ORIGIN, ""))
