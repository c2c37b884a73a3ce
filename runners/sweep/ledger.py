"""Which trials are asked, which count, and what becomes of those whose coordinator was killed."""

import hashlib
import json
import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from runners.sweep.study import Study, Tried
from yolact_bench.spec.sweep.space import Params, Space, active, all_params

log = logging.getLogger(__name__)

COORDINATOR, RETRY_OF, SKIPPED, REASON, GOES_ON, LOST = (
    "coordinator",
    "retry_of",
    "skipped",
    "reason",
    "goes_on_from",
    "lost",
)
_HELPED_FROM = 2  # sets in a row that were tried before, until others are offered or drawn
_MOST_REPEATS = 40  # likewise, until there seem to be no others


def coordinator_of(work_dir: Path) -> str:
    """Return who asks from a work directory: one at a time, as it is locked."""
    name = f"{socket.gethostname()}:{work_dir.absolute()}"
    return hashlib.sha256(name.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The rules by which a study is asked and its lost trials are tried again.

    Every set of parameters that is asked for ends finished once, or failed with a reason. A study
    in a shared storage has several coordinators; each looks after its own trials.
    """

    study: Study
    space: Space
    coordinator: str
    own_storage: bool  # no other coordinator can reach it

    def recover(self) -> int:
        """Take in the trials that were running when this coordinator was killed; return how many.

        Their parameters are asked once more. A kill in here does no harm: what is enqueued is
        enqueued before the trial that it replaces is told, and never twice.
        """
        trials = self.study.trials()
        retried = {t.facts.get(RETRY_OF) for t in trials}
        lost = self._running()
        for trial in lost:
            if RETRY_OF in trial.facts:
                reason = "its coordinator ended twice"
            elif not self._is_whole(trial):
                reason = "its coordinator ended before it was asked"
                self.study.note(trial.number, **{LOST: True})
            else:
                reason = "its coordinator ended; tried again"
                if trial.number not in retried:
                    self.study.enqueue(trial.params, {RETRY_OF: trial.number, **self._mine})
                self.study.note(trial.number, **{LOST: True})
            self.study.note(trial.number, **{REASON: reason})
            self.study.fail(trial.number)
        return len(lost)

    def let_go(self) -> None:
        """Have the trials that were interrupted on purpose asked again by the next coordinator."""
        for trial in self._running():
            again = {key: trial.facts[key] for key in (RETRY_OF,) if key in trial.facts}
            if self._is_whole(trial):
                self.study.enqueue(trial.params, {**again, GOES_ON: trial.number, **self._mine})
            self.study.note(trial.number, **{REASON: "interrupted; goes on later", LOST: True})
            self.study.fail(trial.number)

    def fail(self, number: int, reason: str) -> None:
        """End a trial without a result."""
        self.study.note(number, **{REASON: reason})
        self.study.fail(number)

    def settled(self) -> int:
        """Return how many trials have come to an end that counts."""
        return sum(counts(trial) for trial in self.study.trials())

    def running(self) -> int:
        """Return how many trials are on their way, those of other coordinators too."""
        return sum(trial.state == "running" for trial in self.study.trials())

    def next(self) -> Tried | None:
        """Return the next trial, with parameters that nobody has tried; None: there are none."""
        for repeats in range(_MOST_REPEATS + 1):
            trial = self.study.ask(self._mine, at_random=repeats >= _HELPED_FROM)
            same = self._same(trial)
            if same is None:
                return trial
            self.study.note(trial.number, **{SKIPPED: f"same as trial {same.number}"})
            self.study.fail(trial.number)
            if repeats + 1 >= _HELPED_FROM and not self._offer_untried():
                break
        return None

    def enqueue_all(self) -> None:
        """Have every set of a finite space asked, in order; those that were asked before are not.

        The space is known to be finite.
        """
        asked = {_key(trial.params) for trial in self.study.trials()}
        for params in all_params(self.space) or ():
            if _key(params) not in asked:
                self.study.enqueue(params, self._mine)

    @property
    def _mine(self) -> dict[str, object]:
        return {COORDINATOR: self.coordinator}

    def _running(self) -> list[Tried]:
        return [t for t in self.study.trials() if t.state == "running" and self._is_mine(t)]

    def _is_mine(self, trial: Tried) -> bool:
        who = trial.facts.get(COORDINATOR)
        return who == self.coordinator or (who is None and self.own_storage)

    def _is_whole(self, trial: Tried) -> bool:
        """Whether all its parameters were drawn: a kill may come between two of them."""
        try:
            return {name for name, _ in active(self.space, trial.params)} <= trial.params.keys()
        except KeyError:
            return False

    def _same(self, trial: Tried) -> Tried | None:
        """Return another trial with these parameters that is finished or on its way."""
        wanted = _key(trial.params)
        for other in self.study.trials():
            if other.number == trial.number or _key(other.params) != wanted:
                continue
            if other.state in ("complete", "pruned", "running"):
                return other
            if other.state == "failed" and counts(other) and RETRY_OF not in trial.facts:
                return other
        return None

    def _offer_untried(self) -> bool:
        """Enqueue a set of a finite space that nobody has asked for; return False without one."""
        left = all_params(self.space)
        if left is None:
            return True  # infinitely many: they are drawn at random
        tried = {_key(trial.params) for trial in self.study.trials()}
        untried = next((params for params in left if _key(params) not in tried), None)
        if untried is None:
            return False
        self.study.enqueue(untried, self._mine)
        return True


def counts(trial: Tried) -> bool:
    """Return whether a trial is one of those that were asked for, and at an end."""
    if trial.state == "failed":
        return SKIPPED not in trial.facts and LOST not in trial.facts
    return trial.state in ("complete", "pruned")


def _key(params: Params) -> str:
    return json.dumps(dict(params), sort_keys=True)
