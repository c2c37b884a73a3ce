"""The error analysis of one unit: what it loses AP to, from what is on disk already."""

from runners.arm import Unit, Workplace, now, trained_detector
from runners.environment import environment
from runners.error_split import error_gains
from runners.evaluate import BOX_FILE, MASK_FILE
from runners.forward_pass import lowest_score
from runners.oracles import oracle_ladder
from runners.shared_pass import keep_pass
from yolact_bench.results.record import Errors


def analyse(unit: Unit, place: Workplace, *, oracles: bool = True) -> Errors:
    """Return the types of error of an evaluated unit and, with `oracles`, its oracle ladder.

    The types need the unit's predictions alone. The ladder needs its stored forward pass, which
    is made where it is missing; a unit whose detection cannot be replayed, or a workplace that
    stores no pass, has an empty ladder.

    Raises:
        SpecError: the predictions are missing or damaged.
        ArmError: the pass cannot be made, or is larger than may be stored.
    """
    run = unit.run
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(run.detect_digest)
    truth = dataset.ground_truth()
    return Errors(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=run.seed,
        train_digest=run.train_digest,
        detect_digest=run.detect_digest,
        eval_data=run.eval_data,
        box=error_gains(truth, folder / BOX_FILE, kind="bbox"),
        mask=error_gains(truth, folder / MASK_FILE, kind="segm"),
        oracles=_ladder(unit, place) if oracles else {},
        environment=environment(place.device),
        time=now(),
    )


def _ladder(unit: Unit, place: Workplace) -> dict[str, float]:
    threshold = lowest_score(unit.run)
    if threshold is None or not place.max_store:
        return {}
    stored = keep_pass(unit, place, min_score=threshold)
    detector = trained_detector(unit.run, place)
    return oracle_ladder(
        detector,
        place.datasets.open(unit.data, unit.split),
        lambda index: stored.candidates(index, detector.device)[0],
        title=f"oracles {unit.title}",
    )
