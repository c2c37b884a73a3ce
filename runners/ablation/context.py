"""What the flow of an ablation works with, and what it knows of a unit."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from runners.arms.job import Executor
from runners.timing.records import Timing
from runners.tracking.tracker import Tracker
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.results.store import Store
from yolact_bench.results.text import points

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationContext:
    """What the flow works with."""

    place: Workplace
    store: Store
    tracker: Tracker
    timing: Timing
    retry_failed: bool = False
    sizes: bool = False  # intervals of AP by object size too
    latency_first: bool = False  # who is over the spec's budget is not trained
    # Where arms are carried out side by side; None: in this process, one after the other.
    executor: Executor | None = None
    # Training → why it failed in this execution: another arm that shares it does not try again.
    failed_trainings: dict[str, ArmError] = field(default_factory=dict)
    # Arm and seed → what came of it in this execution, side by side with others.
    brought: dict[tuple[str, int], Accuracy | Failure] = field(default_factory=dict)


def standing_failure(
    unit: Unit, bench: AblationContext, phases: Sequence[str] = ("train", "evaluate")
) -> Failure | None:
    """Return a failure of this unit in these phases that was not asked to be retried."""
    if bench.retry_failed:
        return None
    mine = [f for f in bench.store.failures([unit.run.detect_digest]) if f.phase in phases]
    return mine[-1] if mine else None


def planned_of(unit: Unit, manifest: Manifest) -> PlannedRun:
    """Return the manifest's entry of a unit."""
    return next(p for p in manifest.runs if (p.arm, p.seed) == (unit.arm, unit.seed))


def curves_of(unit: Unit, tracker: Tracker) -> Callable[[int, Mapping[str, float]], None]:
    """Return where the curves of a unit's training go."""

    def log_curves(iteration: int, metrics: Mapping[str, float]) -> None:
        tracker.log_training(unit.arm, unit.seed, iteration, metrics)

    return log_curves


def tell_ap(unit: Unit, found: Accuracy) -> None:
    """Say what a unit has reached."""
    log.info("%s: mask AP %s, box AP %s", unit.title, points(found.mask.ap), points(found.box.ap))
