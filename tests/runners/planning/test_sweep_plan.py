"""The plan of a sweep: bounds over its space, whatever its sampler will ask for."""

import json
from pathlib import Path

import pytest

from runners.planning.rates import Throughput
from runners.planning.sweep import SweepPlan, plan_sweep, scale_sweep
from runners.planning.text.sweep import sweep_facts, sweep_lines
from runners.planning.user_rates import UserRates
from runners.timing.records import NO_LIMITS, SMOKE_LIMITS, TimingLimits
from tests.support.paths import SWEEPS
from tests.support.small_ablation import context
from yolact_bench.spec.sweep.sweep import load_sweep

HEAD = """\
# Is there anything to find?
schema: 1
name: search
base: yolact_tiny
dataset: {name: shapes, train_images: 6, val_images: 3, size: 96}
set: {image_size: 72, schedule.iterations: 60, schedule.warmup: 2}
mode: single
objectives: {mask_ap: maximise}
trials: 10
"""
TRAINING = HEAD + "space: {schedule.batch_size: [2, 8], nms.max_iou: [0.4, 0.5, 0.6]}\n"
REPLAY = HEAD + "space: {nms.max_iou: {low: 0.3, high: 0.8}}\n"


def planned(
    folder: Path, text: str, given: UserRates, timing: TimingLimits = NO_LIMITS
) -> SweepPlan:
    file = folder / "search.yaml"
    file.write_text(text)
    at = context(folder / "work")
    rates = Throughput(at.place, given, device="none")
    return plan_sweep(load_sweep(file), rates, at.place, data_root=None, timing=timing)


def test_settings_that_share_a_training_are_trained_once(tmp_path: Path) -> None:
    """Of 2 · 3 settings two differ in training: 60 · 2 and 60 · 8 images at 4 images/s."""
    plan = planned(tmp_path, TRAINING, UserRates(every=4.0))
    assert plan.whole and plan.settings == 6
    assert plan.trainings == 2
    assert [plan.cheapest_seconds, plan.dearest_seconds] == [30.0, 120.0]
    text = "\n".join(sweep_lines(plan, scale_sweep(plan, [2], devices=1, efficiency=None), price=1))
    assert "at most 2 trainings, if no trial is pruned; all settings: 6" in text
    assert "price: 0 at 1 per device-hour" in text


def test_no_more_is_trained_than_there_are_trials(tmp_path: Path) -> None:
    """10 trials of 120 s on 4 devices: 4, 4 and 2 at a time, three times 120 s."""
    uncounted = "space: {schedule.lr: {low: 0.001, high: 0.1, log: true}, "
    text = TRAINING.replace("space: {", uncounted)
    plan = planned(tmp_path, text, UserRates(every=4.0))
    assert not plan.whole
    assert plan.trainings == 10
    (schedule,) = scale_sweep(plan, [4], devices=1, efficiency=None).simulations
    assert schedule.seconds == 360
    (wide,) = scale_sweep(plan, [4], devices=2, efficiency=0.75).simulations
    assert wide.seconds == 5 * 120 / 1.5  # two at a time, each 1.5 times as fast


def test_replays_train_the_base_alone_and_only_once(tmp_path: Path) -> None:
    plan = planned(tmp_path, REPLAY, UserRates(every=4.0))
    assert plan.trainings == 1
    schedule = scale_sweep(plan, [1], devices=1, efficiency=None)
    text = "\n".join(sweep_lines(plan, schedule, price=None))
    assert "1 training of the base, one forward pass, 10 replays" in text
    assert "forward pass and replays are not counted" in text
    assert json.loads(json.dumps(sweep_facts(plan, schedule, price=None)))["replays"] == 10


def test_an_unknown_rate_stays_unknown(tmp_path: Path) -> None:
    plan = planned(tmp_path, TRAINING, UserRates())
    schedule = scale_sweep(plan, [8], devices=1, efficiency=None)
    assert plan.dearest_seconds is None
    assert schedule.simulations == ()
    assert "time unknown; give --images-per-second" in "\n".join(
        sweep_lines(plan, schedule, price=2.0)
    )
    facts = sweep_facts(plan, schedule, price=2.0)
    assert facts["device_seconds_at_most"] == [None, None]
    assert facts["price_at_most"] is None


@pytest.mark.parametrize("name", ["budget", "pareto"])
def test_sweeps_of_the_repository_plan_without_their_data(tmp_path: Path, name: str) -> None:
    """Both time every trial beside the base, for at most 60 s."""
    file = SWEEPS / f"{name}.yaml"
    at = context(tmp_path)
    rates = Throughput(at.place, UserRates(every=50.0), device="none")
    spec = load_sweep(file)
    plan = plan_sweep(spec, rates, at.place, data_root=tmp_path, timing=NO_LIMITS)
    # Of the pareto's 3 + 1 + 1 ways to place layers, 3 k and 2 backbones 30 differ in training.
    assert plan.trainings == {"pareto": 30, "budget": spec.trials}[name]
    assert plan.dearest_seconds == 80_000 * 8 / 50
    assert plan.timing_seconds == spec.trials * 60


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("scenarios: [detector, model]", 20), ("scenarios: [detector, model], max_s: 50", 50)],
)
def test_a_trial_is_timed_in_one_scenario_and_briefly_unless_the_file_says_how_long(
    tmp_path: Path, written: str, seconds: int
) -> None:
    text = REPLAY.replace("mask_ap: maximise", "mask_ap: maximise, latency_ms: minimise")
    text = text.replace("mode: single", "mode: pareto")
    plan = planned(tmp_path, f"{text}latency: {{{written}}}\n", UserRates())
    assert plan.timing_seconds == 10 * seconds
    assert plan.spec.trial_timing.scenarios == ("detector",)
    brief = planned(tmp_path, f"{text}latency: {{{written}}}\n", UserRates(), SMOKE_LIMITS)
    assert brief.timing_seconds == 10 * 4  # of the smoke budget
