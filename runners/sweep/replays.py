"""Trials that change detection alone: scored from one stored forward pass, one after the other."""

import logging
from collections.abc import Mapping, Sequence

from runners.arms.evaluate import predict_alone
from runners.evaluation.score import Scores, evaluate
from runners.evaluation.stored_pass import lowest_score
from runners.sweep.coordinator import Coordinator
from runners.sweep.replay.scorer import TrialScorer
from runners.sweep.study import Tried
from runners.sweep.trial import metrics_of_scores
from runners.system.interrupt import stoppable
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)

_TIMED_TOGETHER = 4  # trials, beside the base: the base is timed once for all of them


def try_replays(at: Coordinator, scorer: "Scorer") -> None:
    """Score trials until there are enough.

    Raises:
        KeyboardInterrupt: a stop was asked for; what was going on is asked again another time.
    """
    try:
        with stoppable() as check:
            while asked := at.gather(_TIMED_TOGETHER if at.timed else 1):
                at.tell_all(_scored(at, scorer, asked))
                check()
    except KeyboardInterrupt:
        at.ledger.let_go()
        raise


def _scored(
    at: Coordinator, scorer: "Scorer", asked: Sequence[tuple[Tried, Unit]]
) -> list[tuple[Tried, Unit, Mapping[str, float]]]:
    found: list[tuple[Tried, Unit, Mapping[str, float]]] = []
    for trial, unit in asked:
        try:
            found.append((trial, unit, metrics_of_scores(scorer.score(unit))))
        except (ArmError, SpecError) as error:
            at.fail(trial, str(error))
    return found


class Scorer:
    """Scores of units that differ from a trained base in detection alone."""

    def __init__(self, base: Unit, place: Workplace, borders: Sequence[Run]) -> None:
        """Make or open the stored pass that serves all `borders` of the space.

        Raises:
            ArmError: an image cannot be read, or the pass is larger than may be stored.
        """
        self._place = place
        limits = [lowest_score(run) for run in [base.run, *borders]]
        known = [limit for limit in limits if limit is not None]
        self._quick = TrialScorer(base, place, min_score=min(known)) if known else None

    def score(self, unit: Unit) -> Scores:
        """Return what `evaluate` would say of a unit.

        Raises:
            ArmError: a score is not finite, or an image cannot be read.
        """
        if self._quick is not None and self._quick.can_score(unit.run):
            return self._quick.score(unit.run)
        # Its NMS has no lowest score, or its re-scoring looks at feature maps.
        predict_alone(unit, self._place)
        dataset = self._place.datasets.open(unit.data, unit.split)
        folder = self._place.predictions(unit.run.detect_digest)
        return evaluate(dataset, folder, scoring="vectorised")
