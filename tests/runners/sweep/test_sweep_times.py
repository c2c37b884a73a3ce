"""Trials whose timing session does not count: tried once more, then failed with its reason."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from runners.sweep import fact
from runners.sweep.coordinator import Coordinator
from runners.sweep.stopwatch import InvalidSessionError
from runners.units.unit import Unit
from tests.runners.sweep.test_sweep_ledger import open_ledger
from tests.support.no_tracker import NoTracker
from tests.support.small_ablation import context, plan_spec, write_spec
from tests.yolact_bench.spec.test_spec_sweep import SPEC, written
from yolact_bench.errors import ArmError
from yolact_bench.spec.sweep.sweep import load_sweep

THROTTLED = "the session does not count: throttled"
TIMED = SPEC.replace("{mask_ap: maximise}", "{mask_ap: maximise, latency_ms: minimise}")
PARETO = TIMED.replace("trials: 7", "trials: 7\nmode: pareto")
BUDGET = SPEC.replace("trials: 7", "trials: 7\nmode: budget\nlatency: {budget_ms: 30}")


def fails(_: object) -> object:
    raise InvalidSessionError("latency", THROTTLED)


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return plan_spec(write_spec(tmp_path), context(tmp_path / "work")).steps[0].unit


def coordinator(
    folder: Path, text: str, unit: Unit, time: Callable[[object], object]
) -> Coordinator:
    """One whose sessions are `time`, and whose trials are all `unit`."""
    return Coordinator(
        spec=load_sweep(written(folder, text)),
        ledger=open_ledger(folder, text),
        factory=SimpleNamespace(trial=lambda *_: unit),  # type: ignore[arg-type]
        summary=SimpleNamespace(write_if_due=lambda: None),  # type: ignore[arg-type]
        tracker=NoTracker(),
        stopwatch=SimpleNamespace(time_trained=time, judge_untrained=time),  # type: ignore[arg-type]
    )


def test_trained_trials_are_timed_once_more_and_then_fail(tmp_path: Path, unit: Unit) -> None:
    at = coordinator(tmp_path, PARETO, unit, fails)
    first = at.ledger.next()
    assert first is not None
    at.complete_all([(first, unit, {"mask_ap": 0.3})])
    assert at.left == 7  # it does not count

    again = at.ledger.next()
    assert again is not None
    assert (again.params, again.facts[fact.RETRY_OF]) == (first.params, first.number)
    at.complete_all([(again, unit, {"mask_ap": 0.3})])

    reasons = [trial.facts[fact.REASON] for trial in at.ledger.study.trials()]
    assert reasons == [f"{THROTTLED}; tried again", f"{THROTTLED} (for the second time)"]
    assert at.left == 6


def test_the_last_trial_of_a_finite_space_is_timed_once_more(tmp_path: Path, unit: Unit) -> None:
    """Nothing was left to draw when its session turned out not to count."""
    at = coordinator(tmp_path, PARETO, unit, fails)
    at._exhausted = True
    trial = at.ledger.next()
    assert trial is not None
    at.complete_all([(trial, unit, {"mask_ap": 0.3})])
    assert at.left > 0


def test_an_untrained_trial_is_timed_once_more(tmp_path: Path, unit: Unit) -> None:
    """The second session counts: the same choice is to be trained."""
    timing = SimpleNamespace(exceeds=lambda _: False)
    counts = SimpleNamespace(timing=timing, metrics={"latency_ms": 9.0})
    sessions = iter((fails, lambda _: counts))

    def session(unit: object) -> object:
        return next(sessions)(unit)

    at = coordinator(tmp_path, BUDGET, unit, session)

    ((trial, _),) = at.next_trials(1)

    lost = at.ledger.study.trial(0)
    assert (trial.number, trial.params) == (1, lost.params)
    assert lost.facts[fact.LOST]


def test_a_trial_that_cannot_be_timed_fails_with_the_reason(tmp_path: Path, unit: Unit) -> None:
    def cannot(_: object) -> object:
        raise ArmError("latency", "trial_0 cannot be timed: out of memory")

    at = coordinator(tmp_path, PARETO, unit, cannot)
    trial = at.ledger.next()
    assert trial is not None
    at.complete_all([(trial, unit, {"mask_ap": 0.3})])

    assert at.left == 6
    assert "out of memory" in str(at.ledger.study.trial(0).facts[fact.REASON])
