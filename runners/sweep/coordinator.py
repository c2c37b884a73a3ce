"""The coordinator of a sweep: asks the study for trials and records their outcomes."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runners.sweep import fact
from runners.sweep.ledger import Ledger
from runners.sweep.stopwatch import InvalidSessionError, Stopwatch
from runners.sweep.study import StudyTrial
from runners.sweep.summary_file import SweepSummary
from runners.sweep.trial import TrialFactory, missing_metric
from runners.tracking.events import Phase
from runners.tracking.tracker import Tracker
from runners.units.unit import Unit, planned_run
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.spec.sweep.space import changes_of
from yolact_bench.spec.sweep.sweep import SweepSpec
from yolact_bench.text import metric_value

log = logging.getLogger(__name__)

TrialOutcome = tuple[StudyTrial, Unit, Mapping[str, float]]  # a trial, and its metrics by name


@dataclass(slots=True, kw_only=True)
class Coordinator:
    """What sweeps of replays and of trainings have in common."""

    spec: SweepSpec
    ledger: Ledger
    factory: TrialFactory
    summary: SweepSummary
    tracker: Tracker
    stopwatch: Stopwatch
    _began: float = field(default_factory=time.monotonic)
    _num_logged: int = 0
    _exhausted: bool = False

    @property
    def left(self) -> int:
        """How many trials are still to be drawn."""
        if self._exhausted:
            return 0
        return self.spec.trials - self.ledger.num_finished() - self.ledger.num_running()

    def next_trials(self, most: int) -> list[tuple[StudyTrial, Unit]]:
        """Return the next trials to carry out, at most `most` of them."""
        trials: list[tuple[StudyTrial, Unit]] = []
        while len(trials) < most and (pair := self._next()) is not None:
            trials.append(pair)
        return trials

    def complete(self, trial: StudyTrial, unit: Unit, metrics: Mapping[str, float]) -> None:
        missing = missing_metric(self.spec, metrics)
        if missing:
            self.fail(trial, f"no {missing}: the data has no ground truth for it")
            return
        study = self.ledger.study
        study.note(trial.number, {fact.METRICS: {**study.trial(trial.number).metrics, **metrics}})
        study.tell(trial.number, [metrics[one.metric] for one in self.spec.objectives])
        curves = {f"trial/{name}": value for name, value in metrics.items()}
        self.tracker.log_training(unit.arm, 0, 0, curves)
        self._log(trial, self._objectives(metrics))

    def complete_all(self, outcomes: Sequence[TrialOutcome]) -> None:
        """Record a batch of trials, timed together with the base if an objective is a time."""
        times: Mapping[str, Mapping[str, float] | ArmError] = {}
        if self.spec.timed and outcomes:
            try:
                times = self.stopwatch.time_trained([unit for _, unit, _ in outcomes])
            except ArmError as error:
                times = {unit.arm: error for _, unit, _ in outcomes}
        for trial, unit, metrics in outcomes:
            latency = times.get(unit.arm, {})
            if isinstance(latency, ArmError):
                self._end_untimed(trial, latency)
            else:
                self.complete(trial, unit, {**metrics, **latency})

    def prune(self, trial: StudyTrial, reason: str, *, over_ms: float | None = None) -> None:
        """Record that a trial was not worth its training."""
        study = self.ledger.study
        if over_ms is not None:
            study.note(trial.number, {fact.OVER_BUDGET: over_ms})
        study.note(trial.number, {fact.REASON: reason})
        study.prune(trial.number)
        self._log(trial, reason)

    def fail(self, trial: StudyTrial, reason: str) -> None:
        self.ledger.fail(trial.number, reason)
        self._log(trial, f"failed: {reason}")

    def describe(self, trial: StudyTrial) -> str:
        changes = changes_of(self.spec.space, trial.params)
        return ", ".join(f"{path} {_text(value)}" for path, value in changes.items())

    def _next(self) -> tuple[StudyTrial, Unit] | None:
        """Return the next trial that can be carried out; None: enough, or nothing is left."""
        while self.left > 0:
            trial = self.ledger.next()
            if trial is None:
                log.info("search space exhausted")
                self._exhausted = True
                return None
            try:
                unit = self.factory.trial(trial.number, trial.params)
            except SpecError as error:  # choices that do not go together
                self.fail(trial, str(error))
                continue
            facts = {fact.TRAINED: unit.run.train_digest, fact.DETECTED: unit.run.detect_digest}
            self.ledger.study.note(trial.number, facts)
            if self._over_budget(trial, unit):
                continue
            phase: Phase = "evaluate" if self.spec.replays else "train+evaluate"
            self.tracker.arm_started(planned_run(unit), phase)
            return trial, unit
        return None

    def _over_budget(self, trial: StudyTrial, unit: Unit) -> bool:
        """Return whether a trial ended before its training: too slow, or not timed."""
        budget = self.spec.budget_ms
        if budget is None:
            return False
        try:
            untrained = self.stopwatch.judge_untrained(unit)
        except ArmError as error:
            self._end_untimed(trial, error)
            return True
        timing = untrained.timing
        self.ledger.study.note(trial.number, {fact.METRICS: dict(untrained.metrics)})
        if not timing.exceeds(budget):
            return False
        reason = f"{timing.median_ms:.1f} ms untrained, over the budget of {budget:g} ms"
        self.prune(trial, reason, over_ms=timing.median_ms - budget)
        return True

    def _end_untimed(self, trial: StudyTrial, error: ArmError) -> None:
        """End a trial without times; a session that does not count is no fault of the trial."""
        if isinstance(error, InvalidSessionError):
            self.ledger.retry(trial, str(error))
            self._exhausted = False  # the repetition waits to be drawn
            self._log(trial, str(error))
        else:
            self.fail(trial, str(error))

    def _objectives(self, metrics: Mapping[str, float]) -> str:
        names = [one.metric for one in self.spec.objectives]
        return ", ".join(f"{name} {metric_value(name, metrics.get(name))}" for name in names)

    def _log(self, trial: StudyTrial, outcome: str) -> None:
        self._num_logged += 1
        rate = 60 * self._num_logged / max(time.monotonic() - self._began, 1e-9)
        best = self.ledger.study.best()[:1]
        front = self._objectives(self.ledger.study.trial(best[0]).metrics) if best else "none yet"
        label = "best" if len(self.spec.objectives) == 1 else "best of the front"
        log.info(
            "trial %d, %d of %d: %s; %s: %s; %.0f trials/min",
            *(trial.number, self.ledger.num_finished(), self.spec.trials),
            *(outcome, label, front, rate),
        )
        self.summary.write_if_due()


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        options = [f"{k} {_text(v)}" for k, v in value.items() if k != "name"]
        return f"{value.get('name')}" + (f" ({', '.join(options)})" if options else "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
