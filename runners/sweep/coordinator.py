"""The coordinator of a sweep: asks the study, has trials carried out, and tells what came of it."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runners.sweep.ledger import Ledger
from runners.sweep.samplers import OVER_BUDGET
from runners.sweep.stopwatch import Stopwatch
from runners.sweep.study import Tried
from runners.sweep.summary_file import DETECTED, METRICS, TRAINED, Account
from runners.sweep.trial import Maker, missing_metric
from runners.tracking.events import Phase
from runners.tracking.tracker import Tracker
from runners.units.unit import Unit, planned_run
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.results.text import metric_value
from yolact_bench.spec.sweep.space import changes_of
from yolact_bench.spec.sweep.sweep import SweepSpec

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Coordinator:
    """What all kinds of sweep have in common: asking, telling, and saying so."""

    spec: SweepSpec
    ledger: Ledger
    maker: Maker
    account: Account
    tracker: Tracker
    stopwatch: Stopwatch
    _began: float = field(default_factory=time.monotonic)
    _told: int = 0
    _exhausted: bool = False

    @property
    def timed(self) -> bool:
        """Whether trials are timed when they have been trained."""
        return self.spec.timed

    @property
    def left(self) -> int:
        """How many trials are still to be asked for."""
        if self._exhausted:
            return 0
        return self.spec.trials - self.ledger.settled() - self.ledger.running()

    def next(self) -> tuple[Tried, Unit] | None:
        """Return the next trial that can be carried out; None: enough, or nothing is left."""
        while self.left > 0:
            trial = self.ledger.next()
            if trial is None:
                log.info("no set of parameters is left that was not tried")
                self._exhausted = True
                return None
            try:
                unit = self.maker.trial(trial.number, trial.params)
            except SpecError as error:  # choices that do not go together
                self.fail(trial, str(error))
                continue
            facts = {TRAINED: unit.run.train_digest, DETECTED: unit.run.detect_digest}
            self.ledger.study.note(trial.number, **facts)
            if self._over_budget(trial, unit):
                continue
            phase: Phase = "evaluate" if self.spec.replays else "train+evaluate"
            self.tracker.arm_started(planned_run(unit), phase)
            return trial, unit
        return None

    def tell(self, trial: Tried, unit: Unit, metrics: Mapping[str, float]) -> None:
        """Tell the study what a trial has reached."""
        missing = missing_metric(self.spec, metrics)
        if missing:
            self.fail(trial, f"it has no {missing}: nothing of that kind is in the data")
            return
        earlier = self.ledger.study.tried(trial.number).facts.get(METRICS, {})
        assert isinstance(earlier, dict)
        self.ledger.study.note(trial.number, **{METRICS: {**earlier, **metrics}})
        values = [metrics[one.metric] for one in self.spec.objectives]
        self.ledger.study.tell(trial.number, values)
        self.tracker.log_training(
            unit.arm, 0, 0, {f"trial/{name}": value for name, value in metrics.items()}
        )
        self._say(trial, ", ".join(self._shown(metrics)))

    def tell_all(self, batch: Sequence[tuple[Tried, Unit, Mapping[str, float]]]) -> None:
        """Tell what a batch of trials has reached, timed if an objective is a time."""
        if self.timed and batch:
            self.tell_timed(batch)
            return
        for trial, unit, metrics in batch:
            self.tell(trial, unit, metrics)

    def tell_timed(self, batch: Sequence[tuple[Tried, Unit, Mapping[str, float]]]) -> None:
        """Time a batch of trials together with the base, and tell what they have reached."""
        try:
            times = self.stopwatch.time_trained([unit for _, unit, _ in batch])
        except ArmError as error:
            for trial, *_ in batch:
                self.fail(trial, str(error))
            return
        for trial, unit, metrics in batch:
            found = times[unit.arm]
            if isinstance(found, ArmError):
                self.fail(trial, str(found))
            else:
                self.tell(trial, unit, {**metrics, **found})

    def gather(self, most: int) -> list[tuple[Tried, Unit]]:
        """Return the next trials, `most` of them or as many as there are."""
        found: list[tuple[Tried, Unit]] = []
        while len(found) < most:
            asked = self.next()
            if asked is None:
                break
            found.append(asked)
        return found

    def describe(self, trial: Tried) -> str:
        """Return what a trial changes, for people."""
        changes = changes_of(self.spec.space, trial.params)
        return ", ".join(f"{path} {_text(value)}" for path, value in changes.items())

    def prune(self, trial: Tried, how: str, *, over_ms: float | None = None) -> None:
        """Tell the study that a trial was not worth going on with."""
        if over_ms is not None:
            self.ledger.study.note(trial.number, **{OVER_BUDGET: over_ms})
        self.ledger.study.note(trial.number, reason=how)
        self.ledger.study.prune(trial.number)
        self._say(trial, how)

    def fail(self, trial: Tried, reason: str) -> None:
        """Tell the study that a trial has no result."""
        self.ledger.fail(trial.number, reason)
        self._say(trial, f"failed: {reason}")

    def _over_budget(self, trial: Tried, unit: Unit) -> bool:
        """Return whether a trial was ended before its training, as it is too slow."""
        budget = self.spec.latency.budget_ms
        if self.spec.mode != "budget" or budget is None:
            return False
        judged = self.stopwatch.judge_untrained(unit)
        if judged is None:
            self.fail(trial, "its latency could not be measured")
            return True
        self.ledger.study.note(trial.number, **{METRICS: {"latency_ms": judged.median_ms}})
        if not judged.exceeds(budget):
            return False
        how = f"{judged.median_ms:.1f} ms untrained, over the budget of {budget:g} ms"
        self.prune(trial, how, over_ms=judged.median_ms - budget)
        return True

    def _shown(self, metrics: Mapping[str, float]) -> list[str]:
        return [
            f"{one.metric} {metric_value(one.metric, metrics.get(one.metric))}"
            for one in self.spec.objectives
        ]

    def _say(self, trial: Tried, what: str) -> None:
        self._told += 1
        rate = 60 * self._told / max(time.monotonic() - self._began, 1e-9)
        best = self.ledger.study.best()[:1]
        metrics = self.ledger.study.tried(best[0]).facts.get(METRICS, {}) if best else {}
        assert isinstance(metrics, dict)
        front = ", ".join(self._shown(metrics)) if best else "none yet"
        label = "best" if len(self.spec.objectives) == 1 else "best of the front"
        log.info(
            "trial %d, %d of %d: %s; %s: %s; %.0f trials/min",
            *(trial.number, self.ledger.settled(), self.spec.trials, what, label, front, rate),
        )
        self.account.write()


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        options = [f"{k} {_text(v)}" for k, v in value.items() if k != "name"]
        return f"{value.get('name')}" + (f" ({', '.join(options)})" if options else "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
