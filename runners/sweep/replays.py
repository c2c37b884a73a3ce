"""Trials that change detection alone: scored from one stored forward pass, one after the other."""

from collections.abc import Mapping, Sequence

from runners.arms.evaluate import predict_alone
from runners.evaluation.score import Scores, score_predictions
from runners.evaluation.stored_pass import lowest_score
from runners.sweep.coordinator import Coordinator, TrialOutcome
from runners.sweep.replay.scorer import TrialScorer
from runners.sweep.trial import ap_metrics
from runners.system.interrupt import stoppable
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.spec.run import Run

_BATCH = 4  # trials timed in one session: the base is timed once for all of them


def run_replays(at: Coordinator, scorer: "Scorer") -> None:
    """Score trials until there are enough.

    Raises:
        KeyboardInterrupt: a stop was requested; the next execution repeats unfinished trials.
    """
    try:
        with stoppable() as check:
            while trials := at.next_trials(_BATCH if at.spec.timed else 1):
                outcomes: list[TrialOutcome] = []
                for trial, unit in trials:
                    try:
                        outcomes.append((trial, unit, scorer.metrics(unit)))
                    except (ArmError, SpecError) as error:
                        at.fail(trial, str(error))
                at.complete_all(outcomes)
                check()
    except KeyboardInterrupt:
        at.ledger.release()
        raise


class Scorer:
    """Scores units that differ from a trained base in detection alone."""

    def __init__(self, base: Unit, place: Workplace, corners: Sequence[Run]) -> None:
        """Make or open the stored pass that serves all `corners` of the space.

        Raises:
            ArmError: an image cannot be read, or the pass is larger than may be stored.
        """
        self._place = place
        limits = [lowest_score(run) for run in [base.run, *corners]]
        scores = [limit for limit in limits if limit is not None]
        self._replay = TrialScorer(base, place, min_score=min(scores)) if scores else None

    def metrics(self, unit: Unit) -> Mapping[str, float]:
        """Return the metrics that evaluation would give a unit.

        Raises:
            ArmError: a score is not finite, or an image cannot be read.
        """
        scores = self._scores(unit)
        return ap_metrics(scores)

    def _scores(self, unit: Unit) -> Scores:
        if self._replay is not None and self._replay.can_score(unit.run):
            return self._replay.score(unit.run)
        # Its NMS has no lowest score, or its re-scoring needs feature maps.
        predict_alone(unit, self._place)
        dataset = self._place.datasets.open(unit.data, unit.split)
        folder = self._place.predictions(unit.run.detect_digest)
        return score_predictions(dataset, folder, scoring="vectorised")
