"""The estimate of a plan: from this work directory's own records, scaled as said, or unknown."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from runners.ablation.context import AblationContext
from runners.planning.cost import Estimate, estimate, plan_tasks
from runners.planning.plan import Plan
from runners.planning.rates import Rate
from runners.planning.text.ablation import plan_lines
from runners.planning.user_rates import UserRates
from runners.system.environment import environment
from runners.training.checkpoint import save_training
from runners.units.unit import run_yaml
from tests.support import fake_work
from tests.support.small_ablation import plan_spec, write_spec
from yolact_bench.build import build_network
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy
from yolact_bench.spec.run import Run


def here() -> dict[str, object]:
    return {"environment": environment("cpu")}


def recorded(at: AblationContext, run: Run, **changes: object) -> None:
    """Put an accuracy of a training of that run, and its run.yaml, into the work directory."""
    values = {**here(), "train_digest": run.train_digest, "iterations": 100, **changes}
    at.store.add(fake_work.accuracy("fast", **values))
    folder = at.place.checkpoint_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(run_yaml(run))


def other(run: Run, **changes: object) -> Run:
    return replace(run, seed=77).changed(changes)


def cost(plan: Plan, at: AblationContext, *, rate: float | None = None) -> Estimate:
    return estimate(plan, at.place, UserRates(every=rate))


def test_a_rate_is_images_a_second_and_where_it_is_from() -> None:
    """Ten images at four a second take 10 / 4 s."""
    rate = Rate(per_second=4.0, source="measured on fast")
    assert rate.seconds(10) == 2.5
    assert rate.text == "4 images/s measured on fast"


def test_an_unmeasured_rate_is_unknown_with_a_remedy(plan: Plan, at: AblationContext) -> None:
    found = cost(plan, at)
    assert found.train_seconds is None
    assert found.detect_seconds is None
    text = "\n".join(plan_lines(plan, found))
    assert "training unknown" in text
    assert "--images-per-second" in text


def test_a_given_rate_makes_seconds_of_images(plan: Plan, at: AblationContext) -> None:
    """3 iterations of 2 images at 4 images/s are 1.5 s; k_4 and k_2 train, `sequential` shares."""
    found = cost(plan, at, rate=4.0)
    assert [step.train_seconds for step in found.steps] == [1.5, 1.5, 0.0]
    assert found.train_seconds == 3.0
    with pytest.raises(SpecError, match="expected a number from 1e-09 to 1,000,000 or null, got 0"):
        cost(plan, at, rate=0.0)


def test_the_same_network_trains_as_fast_as_it_did(plan: Plan, at: AblationContext) -> None:
    """6 images at 2 images/s; k_2 is not that network, but has its backbone and size."""
    run = plan.steps[0].unit.run
    recorded(at, other(run), train_images_per_second=2.0)
    found = cost(plan, at)
    assert [step.train_seconds for step in found.steps] == [3.0, 3.0, 0.0]
    assert found.steps[0].train_source == "2 images/s measured on fast"
    assert "a network much like it" in found.steps[1].train_source


def test_another_size_is_scaled_by_image_area_and_said_so(plan: Plan, at: AblationContext) -> None:
    """At 144 px a quarter of the images of 72 px: 2 images/s there are 8 here; 6 / 8 = 0.75 s."""
    recorded(at, other(plan.steps[0].unit.run, image_size=144), train_images_per_second=2.0)
    step = cost(plan, at).steps[0]
    assert step.train_seconds == 0.75
    assert step.train_source == "8 images/s that of fast at 144 px, scaled by image area"


@pytest.mark.parametrize(
    ("changes", "record"),
    [
        ({"backbone": {"name": "resnet34"}}, {}),
        ({"precision": "bf16"}, {}),
        ({}, {"iterations": 3}),
        ({}, {"environment": fake_work.environment(device="another machine")}),
    ],
)
def test_rates_of_incomparable_trainings_are_not_used(
    plan: Plan, at: AblationContext, changes: dict[str, object], record: dict[str, object]
) -> None:
    recorded(at, other(plan.steps[0].unit.run, **changes), **record)
    assert cost(plan, at).train_seconds is None


def test_the_rate_of_several_devices_is_not_taken_for_that_of_one(
    plan: Plan, at: AblationContext
) -> None:
    """6 images at 2 images/s; 16 images/s of eight devices would be multiplied by them again."""
    run = plan.steps[0].unit.run
    recorded(at, other(run), train_images_per_second=16.0, devices=8)
    assert cost(plan, at).train_seconds is None
    recorded(at, other(run), train_images_per_second=2.0)
    recorded(at, other(run), train_images_per_second=16.0, devices=8)
    assert cost(plan, at).steps[0].train_seconds == 3.0


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ({}, {}, 8.0),
        ({"devices": 8}, {}, None),
        ({}, {"device": "another machine"}, None),
        ({"device": None}, {"device": None}, None),  # by an earlier version
    ],
)
def test_an_interrupted_training_needs_only_what_is_left_at_its_rate_on_this_device_alone(
    plan: Plan,
    at: AblationContext,
    first: dict[str, object],
    second: dict[str, object],
    seconds: float | None,
) -> None:
    """It resumes at 40 of 60 iterations, at 5 images/s: 20 · 2 / 5 = 8 s; it was killed at 50."""
    step = plan.steps[0]
    run = step.unit.run.changed({"schedule.iterations": 60})
    longer = replace(plan, steps=(replace(step, unit=replace(step.unit, run=run)),))
    folder = at.place.checkpoint_folder(run)
    folder.mkdir(parents=True)
    part = nn.Linear(1, 1)  # what is in it does not matter
    parts = dict.fromkeys(("network", "optimizer", "scaler"), part)
    save_training(folder / "last.pt", run=run, iteration=40, seconds=16.0, parts=parts)
    here = {"images_per_second": 5.0, "device": environment("cpu").device, "devices": 1}
    lines = [{"iteration": 30, **here, **first}, {"iteration": 50, **here, **second}]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "log.jsonl").write_text(text + '{"iteration": 51, "ima')
    assert cost(longer, at).steps[0].train_seconds == seconds


def test_a_damaged_checkpoint_does_not_stop_the_plan_of_all_arms(
    plan: Plan, at: AblationContext
) -> None:
    folder = at.place.checkpoint_folder(plan.steps[0].unit.run)
    folder.mkdir(parents=True)
    (folder / "last.pt").write_bytes(b"")
    assert cost(plan, at).steps[0].train_seconds is None


def test_evaluation_takes_the_time_of_its_images(plan: Plan, at: AblationContext) -> None:
    """Three validation images at 40 ms, the median of the fake's rounds."""
    run = other(plan.steps[0].unit.run)
    recorded(at, run)
    timed = fake_work.latency("fast", train_digest=run.train_digest, **here())
    at.store.add(timed)
    found = cost(plan, at)
    assert found.steps[0].detect_seconds == pytest.approx(3 * timed.median_ms / 1e3)
    assert timed.median_ms == pytest.approx(40, abs=0.5)


@pytest.mark.parametrize(
    "changes",
    [{"load": "coco_like"}, {"scenario": "model"}, {"session": "s2", "invalid": "throttled"}],
)
def test_times_of_other_work_or_of_a_session_that_does_not_count_are_not_used(
    plan: Plan, at: AblationContext, changes: dict[str, object]
) -> None:
    """Nor those of an arm in a session that does not count because of another arm."""
    run = other(plan.steps[0].unit.run)
    recorded(at, run)
    at.store.add(fake_work.latency("fast", train_digest=run.train_digest, **{**here(), **changes}))
    beside = {**here(), **changes, "invalid": ""}
    at.store.add(fake_work.latency("sequential", train_digest=run.train_digest, **beside))

    assert cost(plan, at).steps[0].detect_seconds is None


def test_known_rates_count_and_the_unknown_ones_are_named(plan: Plan, at: AblationContext) -> None:
    """Two of three evaluations take 2 s each, beside 1.5 s for each training: 3 + 4 s."""
    found = cost(plan, at, rate=4.0)
    rates = (2.0, None, 2.0)
    steps = [replace(s, detect_seconds=r) for s, r in zip(found.steps, rates, strict=True)]
    found = replace(found, steps=tuple(steps))
    tasks = plan_tasks(replace(plan, timed=True), found, 1, 1.0)
    assert tasks is not None
    assert sum(task.seconds for task in tasks) == 3.0 + 4.0
    text = "\n".join(plan_lines(plan, found))
    assert "at most 4 s; that of k_2 unknown until arms have been timed" in text


def test_disk_is_counted_from_the_networks(plan: Plan, at: AblationContext) -> None:
    """SGD remembers one number a weight. Of the three arms, two share a pass: it alone is stored.

    72 px: P3 has 9 cells a side, prototypes 18; 3 images of 18 · 18 · 4 prototype values and
    1000 candidates of 4 + 6 + 4 numbers, 4 bytes each.
    """
    found = cost(plan, at)
    sizes = []
    for step in plan.steps[:2]:
        state = build_network(step.unit.run, initial=False).state_dict().values()
        sizes.append(sum(t.numel() * t.element_size() for t in state))
    assert found.checkpoint_bytes == sum(sizes)
    assert found.training_bytes == 2 * max(sizes)
    assert found.forward_bytes == 3 * 4 * (18 * 18 * 4 + 1000 * 14)


def test_a_disk_that_is_too_small_is_reported(plan: Plan, at: AblationContext) -> None:
    found = cost(plan, at)
    needed = found.checkpoint_bytes + found.training_bytes + found.forward_bytes
    for free, reported in ((needed, False), (needed - 1, True)):
        last = plan_lines(plan, replace(found, free_bytes=free))[-1]
        assert ("NOT ENOUGH" in last) == reported


def test_what_is_done_costs_nothing(plan: Plan, at: AblationContext, tmp_path: Path) -> None:
    for step in plan.steps:
        run = step.unit.run
        recorded(at, run, detect_digest=run.detect_digest, train_digest=run.train_digest)
        at.place.weights(run).touch()
    done = plan_spec(write_spec(tmp_path), at)
    found = cost(done, at)
    assert (found.train_seconds, found.detect_seconds, found.checkpoint_bytes) == (0.0, 0.0, 0)
    assert isinstance(at.store.records()[0], Accuracy)
    assert not any(line.startswith(("time", "disk")) for line in plan_lines(done, found))
