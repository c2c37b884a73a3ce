"""Trials that change detection alone: scored from one stored forward pass, one after the other."""

from collections.abc import Sequence

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


def run_replays(at: Coordinator, base: Unit, corners: Sequence[Run]) -> None:
    """Score trials until there are enough, where one stored pass serves all `corners` of the space.

    Raises:
        ArmError: an image cannot be read, or the pass is larger than may be stored.
        KeyboardInterrupt: a stop was requested; the next execution repeats unfinished trials.
    """
    place = at.factory.place
    limits = [lowest_score(run) for run in [base.run, *corners]]
    scores = [limit for limit in limits if limit is not None]
    scorer = TrialScorer(base, place, min_score=min(scores)) if scores else None
    try:
        with stoppable() as check:
            while trials := at.next_trials(_BATCH if at.spec.timed else 1):
                outcomes: list[TrialOutcome] = []
                for trial, unit in trials:
                    try:
                        outcomes.append((trial, unit, ap_metrics(_score(unit, place, scorer))))
                    except (ArmError, SpecError) as error:
                        at.fail(trial, str(error))
                at.complete_all(outcomes)
                check()
    except KeyboardInterrupt:
        at.ledger.release()
        raise


def _score(unit: Unit, place: Workplace, scorer: TrialScorer | None) -> Scores:
    """Return the scores that evaluation would give a unit."""
    if scorer is not None and scorer.can_score(unit.run):
        return scorer.score(unit.run)
    # Its NMS has no lowest score, or its re-scoring needs feature maps.
    folder = predict_alone(unit, place)
    dataset = place.datasets.open(unit.data, unit.split)
    return score_predictions(dataset, folder, scoring="vectorised", evaluation=unit.evaluation)
