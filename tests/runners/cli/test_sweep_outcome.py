"""Whether a sweep that lost trials is complete."""

from runners.cli.sweep import lost_for_good
from tests.support.fake_sweeps import sweep_of, trial_of

TWO = {"num_trials": 2}


def test_a_trial_that_was_lost_twice_and_not_replaced_is_named() -> None:
    first, second = ({"params": {"protonet.k": k}} for k in (4, 8))
    lost = (trial_of(1, "lost", **second), trial_of(2, "lost", **second))
    assert lost_for_good(sweep_of(trial_of(0, **first), *lost, **TWO)) == (1, 2)


def test_a_lost_trial_that_was_tried_again_or_replaced_is_complete() -> None:
    again, other = ({"params": {"protonet.k": k}} for k in (4, 8))
    lost = trial_of(0, "lost", **again)
    small = sweep_of(lost, trial_of(1, **again), num_trials=5)
    assert lost_for_good(small) == (), "the space has no more"
    assert lost_for_good(sweep_of(lost, trial_of(1, **other), trial_of(2, **other), **TWO)) == ()
