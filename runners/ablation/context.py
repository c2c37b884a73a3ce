"""What the flow of an ablation works with."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from runners.arms.standing_record import standing_accuracy
from runners.executors import Executor
from runners.timing.records import TimingLimits
from runners.tracking.tracker import Tracker
from runners.units.unit import Unit, Work
from runners.units.workplace import Workplace
from yolact_bench.results.record import Accuracy, Failure, Record
from yolact_bench.results.store import Store
from yolact_bench.text import ap_points, unit_title

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationContext:
    """Where an ablation runs, and what the command line asks of it."""

    place: Workplace
    tracker: Tracker
    timing: TimingLimits
    retry_failed: bool = False
    sizes: bool = False  # intervals of AP by object size too
    latency_first: bool = False  # an arm over the spec's budget is not trained
    executor: Executor | None = None  # of other processes; None: arms train in this process

    @property
    def store(self) -> Store:
        return self.place.store

    def is_missing(self, unit: Work) -> bool:
        """Return whether a unit has neither an accuracy nor a standing failure."""
        if isinstance(unit, Unit):
            accuracy = standing_accuracy(unit.run, self.place)
        else:
            accuracy = self.store.accuracy(unit.detect_digest)
        if accuracy is not None:
            return False
        return not self.failed(unit, "train", "evaluate")

    def failed(self, unit: Work, *phases: str) -> bool:
        """Return whether a unit has failed in one of these phases, unless failures are retried."""
        return not self.retry_failed and self.store.has_failed(unit.detect_digest, phases)

    def keep(self, record: Record) -> None:
        """Store a new record; log it, and copy accuracies and failures to the tracker."""
        title = unit_title(record.arm, record.seed)
        self.store.add(record)
        if isinstance(record, Failure):
            log.error("%s: failed (%s): %s", title, record.kind, record.message)
            self.tracker.log_record(record)
        elif isinstance(record, Accuracy):
            ap = ap_points(record.mask.ap), ap_points(record.box.ap)
            log.info("%s: mask AP %s, box AP %s", title, *ap)
            self.tracker.log_record(record)

    def log_curves(self, unit: Work, iteration: int, metrics: Mapping[str, float]) -> None:
        self.tracker.log_training(unit.arm, unit.seed, iteration, metrics)
