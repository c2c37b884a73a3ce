"""The ledger of a study: which trials are next, which count, and how lost ones are recovered."""

import hashlib
import json
import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from runners.sweep import fact
from runners.sweep.study import Study, StudyTrial
from yolact_bench.spec.sweep.space import Params, Space, all_params

log = logging.getLogger(__name__)

_RANDOM_AFTER = 2  # repeated sets in a row, until untried ones are queued or drawn at random
_MOST_REPEATS = 40  # repeated sets in a row, until the space counts as exhausted


def coordinator_of(work_dir: Path) -> str:
    """Return the identity of the coordinator in a work directory: one at a time, by its lock."""
    name = f"{socket.gethostname()}:{work_dir.absolute()}"
    return hashlib.sha256(name.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The rules by which trials are drawn from a study and lost ones are retried.

    Every set of parameters is finished once, or fails with a reason. A study in a shared storage
    has several coordinators; each looks after its own trials.
    """

    study: Study
    space: Space
    coordinator: str
    own_storage: bool  # no other coordinator can reach it

    def recover(self) -> int:
        """Retry the trials that were running when this coordinator was killed; return how many.

        A second try that was lost as well does not count: another set takes its place.
        A kill in here is harmless: the retry is enqueued before the lost trial is closed, and
        never twice.
        """
        lost = self._running()
        for trial in lost:
            if fact.RETRY_OF in trial.facts:
                self._lose(trial, "its coordinator ended for the second time; another replaces it")
            elif trial.is_complete(self.space):
                self.retry(trial, "its coordinator ended")
            else:
                self._lose(trial, "its coordinator ended before all its parameters were drawn")
        return len(lost)

    def retry(self, trial: StudyTrial, reason: str) -> None:
        """Repeat a trial that ended through no fault of its own; after the second time it fails."""
        if fact.RETRY_OF in trial.facts:
            self.fail(trial.number, f"{reason} (for the second time)")
            return
        if all(other.facts.get(fact.RETRY_OF) != trial.number for other in self.study.trials()):
            self.study.enqueue(trial.params, {fact.RETRY_OF: trial.number, **self._mine})
        self._lose(trial, f"{reason}; tried again")

    def release(self) -> None:
        """Leave interrupted trials to the next coordinator, which tries them again."""
        for trial in self._running():
            again = {key: trial.facts[key] for key in (fact.RETRY_OF,) if key in trial.facts}
            if trial.is_complete(self.space):
                self.study.enqueue(
                    trial.params, {**again, fact.RESUMES: trial.number, **self._mine}
                )
            self._lose(trial, "interrupted; resumed later")

    def fail(self, number: int, reason: str) -> None:
        self.study.note(number, {fact.REASON: reason})
        self.study.fail(number)

    def num_finished(self) -> int:
        return sum(counts(trial) for trial in self.study.trials())

    def num_running(self) -> int:
        """Return how many trials are running, those of other coordinators included."""
        return sum(trial.state == "running" for trial in self.study.trials())

    def next(self) -> StudyTrial | None:
        """Return the next trial, with untried parameters; None: the space is exhausted."""
        for repeats in range(_MOST_REPEATS + 1):
            trial = self.study.ask(self._mine, at_random=repeats >= _RANDOM_AFTER)
            same = self._same(trial)
            if same is None:
                return trial
            self.study.note(trial.number, {fact.SKIPPED: f"same as trial {same.number}"})
            self.study.fail(trial.number)
            if repeats + 1 >= _RANDOM_AFTER and not self._enqueue_untried():
                break
        return None

    def enqueue_all(self) -> None:
        """Enqueue every untried set of a finite space, in order."""
        keys = self._keys()
        for params in all_params(self.space) or ():
            if _key(params) not in keys:
                self.study.enqueue(params, self._mine)

    @property
    def _mine(self) -> dict[str, object]:
        return {fact.COORDINATOR: self.coordinator}

    def _running(self) -> list[StudyTrial]:
        owners = {self.coordinator, None} if self.own_storage else {self.coordinator}
        return [
            trial
            for trial in self.study.trials()
            if trial.state == "running" and trial.facts.get(fact.COORDINATOR) in owners
        ]

    def _lose(self, trial: StudyTrial, reason: str) -> None:
        """End a trial that does not count, as another one repeats it."""
        self.study.note(trial.number, {fact.LOST: True})
        self.fail(trial.number, reason)

    def _keys(self) -> set[str]:
        return {_key(trial.params) for trial in self.study.trials()}

    def _same(self, trial: StudyTrial) -> StudyTrial | None:
        """Return another trial with these parameters that is finished or running."""
        key = _key(trial.params)
        for other in self.study.trials():
            if other.number == trial.number or _key(other.params) != key:
                continue
            if other.state in ("complete", "pruned", "running"):
                return other
            is_over = counts(other) or fact.RETRY_OF in other.facts  # or was lost twice
            if other.state == "failed" and is_over and fact.RETRY_OF not in trial.facts:
                return other
        return None

    def _enqueue_untried(self) -> bool:
        """Enqueue one untried set of a finite space; return False if there is none."""
        every = all_params(self.space)
        if every is None:
            return True  # infinitely many: they are drawn at random
        keys = self._keys()
        untried = next((params for params in every if _key(params) not in keys), None)
        if untried is None:
            return False
        self.study.enqueue(untried, self._mine)
        return True


def counts(trial: StudyTrial) -> bool:
    """Return whether a trial has ended and counts towards the number asked for."""
    if trial.state == "failed":
        return fact.SKIPPED not in trial.facts and fact.LOST not in trial.facts
    return trial.state in ("complete", "pruned")


def _key(params: Params) -> str:
    return json.dumps(dict(params), sort_keys=True)
