"""What the units of a plan share, train and leave out, and the totals of what is left."""

import json
from dataclasses import replace
from pathlib import Path

from runners.ablation.context import AblationContext
from runners.planning.arm_checks import side_effects_of
from runners.planning.cost import Estimate, estimate, plan_tasks, scale_plan
from runners.planning.plan import Plan
from runners.planning.text.ablation import plan_facts, plan_lines
from runners.planning.user_rates import UserRates
from tests.support import fake_work
from tests.support.small_ablation import SPEC, plan_spec, write_spec
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.ablation import load


def cost(plan: Plan, at: AblationContext, *, rate: float | None = None) -> Estimate:
    return estimate(plan, at.place, UserRates(every=rate))


def fail(plan: Plan, at: AblationContext, row: int, phase: str = "train") -> None:
    digest = plan.steps[row].unit.run.detect_digest
    at.store.add(replace(fake_work.failure(phase=phase), detect_digest=digest))


def test_a_failed_timing_leaves_a_training_in_the_schedule(
    plan: Plan, at: AblationContext, tmp_path: Path
) -> None:
    """`run` trains k_4 nonetheless, beside k_2."""
    fail(plan, at, 0, "latency")
    again = plan_spec(tmp_path / "small.yaml", at)
    tasks = plan_tasks(replace(again, timed=True), cost(again, at, rate=4.0), 1, 1.0)
    assert tasks is not None
    assert len(tasks) == 2


def test_an_arm_trains_what_it_shares_with_an_arm_that_failed(
    plan: Plan, at: AblationContext, tmp_path: Path
) -> None:
    """`run` leaves k_4 out and trains for `sequential`: 2 trainings of 1.5 s each, and 2 passes."""
    fail(plan, at, 0)
    again = plan_spec(tmp_path / "small.yaml", at)
    found = cost(again, at, rate=4.0)
    assert (again.trainings, again.evaluations, len(again.passes)) == (2, 2, 2)
    assert [step.train_seconds for step in found.steps] == [0.0, 1.5, 1.5]
    assert "train, forward pass, detect, score" in plan_lines(again, found)[4]
    study = scale_plan(again, found, [1], devices=1, efficiency=None)
    assert study.titles[again.steps[0].unit.run.train_digest] == "sequential"


def test_an_arm_makes_the_pass_that_an_evaluated_arm_has_not_kept(
    plan: Plan, at: AblationContext, tmp_path: Path
) -> None:
    run = plan.steps[0].unit.run
    at.store.add(fake_work.accuracy("fast", detect_digest=run.detect_digest))
    at.place.checkpoint_folder(run).mkdir(parents=True)
    at.place.weights(run).touch()
    again = plan_spec(tmp_path / "small.yaml", at)
    assert (again.trainings, len(again.passes)) == (1, 2)
    done, _, sequential = plan_lines(again, cost(again, at))[2:5]
    assert "done" in done
    assert sequential.count("of k_4") == 1  # the training
    assert "forward pass, detect, score" in sequential


def test_a_failure_that_stands_is_in_no_total(
    plan: Plan, at: AblationContext, tmp_path: Path
) -> None:
    """`run` leaves k_4 and `sequential` out, which share a training: k_2 is 1 training of 1.5 s."""
    fail(plan, at, 0)
    fail(plan, at, 2)
    again = plan_spec(tmp_path / "small.yaml", at)
    found = cost(again, at, rate=4.0)
    assert (again.trainings, again.evaluations, len(again.passes)) == (1, 1, 1)
    assert [step.train_seconds for step in found.steps] == [0.0, 1.5, 0.0]
    tasks = plan_tasks(replace(again, timed=True), found, 1, 1.0)
    assert tasks is not None
    assert sum(task.seconds for task in tasks) == found.train_seconds


def test_the_plan_shows_what_is_shared_and_its_facts_are_json(
    plan: Plan, at: AblationContext
) -> None:
    lines = plan_lines(plan, cost(plan, at, rate=4.0))
    k_4, k_2, sequential = lines[2:5]
    assert plan.steps[0].unit.run.train_digest[:8] in k_4
    assert "train, forward pass, detect, score" in k_2
    assert sequential.split("  ")[1:2] == ["sequential"]
    assert sequential.count("of k_4") == 2
    assert "2 trainings, 2 forward passes, 3 evaluations" in "\n".join(lines)
    assert lines[5:7] == [
        "  k_2: also schedule.lr 0.003 (baseline 0.001)",
        "  sequential: also nms.top_k unset (baseline 200)",
    ]
    facts = json.loads(json.dumps(plan_facts(plan, cost(plan, at, rate=4.0))))
    assert facts["estimate"]["train_seconds"] == 3.0
    assert [unit["shares_forward"] for unit in facts["units"]] == [None, None, "k_4"]


def test_an_option_that_digests_leave_out_is_compared_by_its_default(tmp_path: Path) -> None:
    """`streams` of a CUDA graph came later; it is 1 unless written."""
    head, _, _ = SPEC.partition("changes:")
    own = "{runtime: {name: cuda_graph, defaults: component}}"
    arms = f"  k_4: {{runtime: {{name: cuda_graph, streams: 2}}}}\n  one: {own}\n"
    ablation = load(write_spec(tmp_path, f"{head}changes: [runtime]\narms:\n{arms}"))
    runs = {arm.name: resolve_architecture(arm.run, files=False) for arm in ablation.arms}
    assert "streams" not in runs["one"].runtime
    assert side_effects_of(ablation, runs) == ["one: also runtime.streams 1 (baseline 2)"]
