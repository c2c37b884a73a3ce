"""Trials that train: side by side through an executor, with those behind stopped early."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from runners.arms.job import Job, JobResult
from runners.executors import Executor
from runners.executors.log_follower import LogFollower
from runners.sweep.coordinator import Coordinator
from runners.sweep.study import Tried
from runners.sweep.trial import metrics_of, with_validation
from runners.system.interrupt import stoppable
from runners.units.unit import Unit
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.results.store import Store

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.5  # at the validations of running trainings


@dataclass(slots=True, kw_only=True)
class _Running:
    """A trial that an executor has."""

    trial: Tried
    unit: Unit
    job: Job
    follower: LogFollower
    pruned: bool = False


@dataclass(slots=True, kw_only=True)
class Trainings:
    """Trials of one coordinator on one executor.

    Where trials are timed, before or after their training, they go in batches, so that none runs
    while another is timed. Otherwise the next begins as soon as one has ended.
    """

    at: Coordinator
    executor: Executor
    store: Store
    _running: dict[str, _Running] = field(default_factory=dict)
    _held: list[tuple[Tried, Unit]] = field(default_factory=list)  # share a training that runs
    _untimed: list[tuple[Tried, Unit, Mapping[str, float]]] = field(default_factory=list)

    def run(self) -> None:
        """Carry out trials until there are enough.

        Raises:
            KeyboardInterrupt: a stop was asked for; what was running is asked again another time.
        """
        try:
            with stoppable() as check:
                while self._fill():
                    self._turn()
                    check()
        except KeyboardInterrupt:
            self.executor.close()
            self.at.ledger.let_go()
            raise
        finally:
            self.executor.close()

    def _fill(self) -> bool:
        """Ask for as many trials as there is room for; return whether anything is going on."""
        in_batches = self.at.timed or self.at.spec.mode == "budget"
        open_trials = len(self._running) + len(self._held) + len(self._untimed)
        room = self.executor.slots - len(self._running) - len(self._held)
        if in_batches and open_trials:
            room = 0
        for trial, unit in self.at.gather(room):
            self._begin(trial, unit)
        return bool(self._running or self._held or self._untimed) or self.at.left > 0

    def _turn(self) -> None:
        """Wait a moment for something to end; time what has been trained when nothing runs."""
        if not self._running:
            if self._untimed:
                self.at.tell_timed(self._untimed)
                self._untimed.clear()
            return
        done = self.executor.wait(_SECONDS_BETWEEN_LOOKS)
        for one in self._running.values():
            self._follow(one)
        if done is None:
            return
        self._take(self._running.pop(done.job.key), done)
        ready, self._held = self._held, []
        for trial, unit in ready:
            self._begin(trial, unit)

    def _begin(self, trial: Tried, unit: Unit) -> None:
        place = with_validation(self.at.maker.place, self.at.spec, unit)
        job = Job(units=(unit,), place=place, intervals=False)
        if job.key in self._running:
            self._held.append((trial, unit))
            return
        known = self.store.accuracy(unit.run.detect_digest)
        if known is not None:
            self._tell(trial, unit, metrics_of(known))
            return
        log.info("trial %d: %s", trial.number, self.at.describe(trial))
        follower = LogFollower(job.folder / "log.jsonl")
        self._running[job.key] = _Running(trial=trial, unit=unit, job=job, follower=follower)
        self.executor.submit(job)

    def _follow(self, one: _Running) -> None:
        """Hand curves on, and stop a training that falls behind."""
        study = self.at.ledger.study
        known = study.tried(one.trial.number).curve
        for iteration, points in one.follower.new():
            self.at.tracker.log_training(one.unit.arm, 0, iteration, points)
            value = points.get(f"val/{self.at.spec.objectives[0].metric}")
            if value is None or iteration in known or len(self.at.spec.objectives) > 1:
                continue
            if study.report(one.trial.number, iteration, value) and not one.pruned:
                one.pruned = True
                self.executor.stop(one.job.key)

    def _take(self, one: _Running, done: JobResult) -> None:
        if done.stopped and not one.pruned:
            raise KeyboardInterrupt  # somebody else has asked it to stop
        if done.stopped:
            (one.job.folder / "last.pt").unlink(missing_ok=True)  # nobody goes on with it
            self.at.prune(one.trial, "worse than others were by then")
            return
        (result,) = done.records
        self.store.add(result)
        if isinstance(result, Failure):
            self.at.tracker.log_failure(result)
            self.at.fail(one.trial, f"{result.phase} ({result.kind}): {result.message}")
            return
        assert isinstance(result, Accuracy)
        self.at.tracker.log_accuracy(result)
        self._tell(one.trial, one.unit, metrics_of(result))

    def _tell(self, trial: Tried, unit: Unit, metrics: Mapping[str, float]) -> None:
        if self.at.timed:
            self._untimed.append((trial, unit, metrics))
        else:
            self.at.tell(trial, unit, metrics)
