"""Trials that train: side by side through an executor, with those behind stopped early."""

import logging
from dataclasses import dataclass, field, replace

from runners.arms.job import Job, JobResult
from runners.arms.standing_record import standing_accuracy
from runners.executors import Executor
from runners.executors.log_follower import LogFollower
from runners.sweep.coordinator import Coordinator, TrialOutcome
from runners.sweep.study import StudyTrial
from runners.sweep.trial import metrics_of
from runners.system.interrupt import stoppable
from runners.units.unit import Unit
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.training_parts import build_schedule
from yolact_bench.work_names import LAST, LOG

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5  # between looks at the validations of running trainings


@dataclass(slots=True, kw_only=True)
class _Training:
    """A trial that an executor runs."""

    trial: StudyTrial
    unit: Unit
    job: Job
    follower: LogFollower
    pruned: bool = False


@dataclass(slots=True, kw_only=True)
class Trainings:
    """Trials of one coordinator on one executor.

    Where trials are timed, before or after their training, they run in batches, so that none runs
    while another is timed. Otherwise the next begins as soon as one has ended.
    """

    at: Coordinator
    executor: Executor
    _running: dict[str, _Training] = field(default_factory=dict)
    _waiting: list[tuple[StudyTrial, Unit]] = field(default_factory=list)  # for a shared training
    _untimed: list[TrialOutcome] = field(default_factory=list)

    def run(self) -> None:
        """Run trials until there are enough.

        Raises:
            KeyboardInterrupt: a stop was requested; the next execution repeats unfinished trials.
        """
        try:
            with stoppable() as check:
                while self._fill():
                    self._step()
                    check()
        except KeyboardInterrupt:
            self.executor.close()
            self.at.ledger.release()
            raise
        finally:
            self.executor.close()

    def _fill(self) -> bool:
        """Start as many trials as there is room for; return whether anything is unfinished."""
        room = self.executor.slots - len(self._running) - len(self._waiting)
        if self.at.spec.needs_times and self._unfinished:
            room = 0
        for trial, unit in self.at.next_trials(room):
            self._begin(trial, unit)
        return self._unfinished or self.at.left > 0

    @property
    def _unfinished(self) -> bool:
        return bool(self._running or self._waiting or self._untimed)

    def _step(self) -> None:
        """Wait a moment for a training to end; time the trained ones when nothing runs."""
        if not self._running:
            self.at.complete_all(self._untimed)
            self._untimed.clear()
            return
        result = self.executor.wait(_POLL_SECONDS)
        for training in self._running.values():
            self._follow(training)
        if result is None:
            return
        self._finish(self._running.pop(result.job.key), result)
        ready, self._waiting = self._waiting, []
        for trial, unit in ready:
            self._begin(trial, unit)

    def _begin(self, trial: StudyTrial, unit: Unit) -> None:
        tenth = max(1, build_schedule(unit.run).iterations // 10)  # often enough to prune
        validate_every = self.at.spec.validate_every or tenth
        place = replace(self.at.factory.place, validate_every=validate_every)
        job = Job(units=(unit,), place=place, intervals=False)
        if job.key in self._running:
            self._waiting.append((trial, unit))
            return
        accuracy = standing_accuracy(unit.run, place)
        if accuracy is not None:
            self._complete(trial, unit, accuracy)
            return
        log.info("trial %d: %s", trial.number, self.at.describe(trial))
        follower = LogFollower(job.folder / LOG)
        self._running[job.key] = _Training(trial=trial, unit=unit, job=job, follower=follower)
        self.executor.submit(job)

    def _follow(self, training: _Training) -> None:
        """Track the curves of a training, and stop it if it falls behind."""
        study, number = self.at.ledger.study, training.trial.number
        reported = study.trial(number).curve
        for iteration, points in training.follower.new():
            self.at.tracker.log_training(training.unit.arm, 0, iteration, points)
            value = points.get(f"val/{self.at.spec.objectives[0].metric}")
            if value is None or iteration in reported or len(self.at.spec.objectives) > 1:
                continue
            if study.report(number, iteration, value) and not training.pruned:
                training.pruned = True
                self.executor.stop(training.job.key)

    def _finish(self, training: _Training, result: JobResult) -> None:
        if result.stopped and not training.pruned:
            raise KeyboardInterrupt  # stopped from outside
        if result.stopped:
            (training.job.folder / LAST).unlink(missing_ok=True)  # never resumed
            reason = f"pruned ({self.at.spec.pruner}): behind other trials at this step"
            self.at.prune(training.trial, reason)
            return
        (record,) = result.records
        self.at.factory.place.store.add(record)
        if isinstance(record, Failure):
            self.at.tracker.log_record(record)
            self.at.fail(training.trial, f"{record.phase} ({record.kind}): {record.message}")
            return
        assert isinstance(record, Accuracy)
        self.at.tracker.log_record(record)
        self._complete(training.trial, training.unit, record)

    def _complete(self, trial: StudyTrial, unit: Unit, accuracy: Accuracy) -> None:
        metrics = metrics_of(accuracy)
        if self.at.spec.timed:
            self._untimed.append((trial, unit, metrics))
        else:
            self.at.complete(trial, unit, metrics)
