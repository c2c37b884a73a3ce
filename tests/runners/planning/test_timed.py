"""Whether a plan takes earlier times for those that the command would take."""

from dataclasses import replace
from pathlib import Path

import pytest

from runners.ablation.context import AblationContext
from runners.planning.cost import estimate
from runners.planning.plan import make_plan, manifest_of
from runners.planning.text.ablation import plan_lines
from runners.planning.user_rates import UserRates
from runners.system.environment import environment
from runners.timing.records import TimingLimits
from runners.units.unit import run_yaml
from tests.support import fake_work
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.errors import SpecError
from yolact_bench.results.record import TimingProtocol
from yolact_bench.spec.ablation import load

TWO_ROUNDS = TimingProtocol(version=2, rel_ci=0.01, max_s=5.0, rounds=2, ended="rounds")


@pytest.fixture
def at(tmp_path: Path) -> AblationContext:
    return context(tmp_path / "work")


def time_all(at: AblationContext, spec: Path, *, without: str = "", **changes: object) -> None:
    """Add a session of all arms on this machine, with two rounds."""
    for step in plan_spec(spec, at).steps:
        if step.unit.arm != without:
            values = {"environment": environment("cpu"), "protocol": TWO_ROUNDS, **changes}
            digest = step.unit.detect_digest
            at.store.add(fake_work.latency("fast", detect_digest=digest, **values))


def fail(at: AblationContext, spec: Path, arm: str, phase: str) -> None:
    digest = next(s.unit.detect_digest for s in plan_spec(spec, at).steps if s.unit.arm == arm)
    at.store.add(replace(fake_work.failure(phase=phase), detect_digest=digest))


def test_a_failed_timing_is_shown_only_where_arms_are_timed(
    at: AblationContext, tmp_path: Path
) -> None:
    """The same run is an arm of both ablations, of which one measures accuracy alone."""
    spec = write_spec(tmp_path)
    fail(at, spec, "k_4", "latency")
    digest = plan_spec(spec, at).steps[0].unit.detect_digest
    at.store.add(fake_work.accuracy("fast", detect_digest=digest))
    assert str(plan_spec(spec, at).steps[0].failed).startswith("latency: ")
    untimed = tmp_path / "untimed.yaml"
    untimed.write_text(spec.read_text() + "measure: [accuracy]\n")
    assert plan_spec(untimed, at).steps[0].failed is None


def test_a_deleted_checkpoint_is_named_before_anything_runs_where_it_is_to_be_timed(
    at: AblationContext, tmp_path: Path
) -> None:
    """k_4 has been evaluated; nothing trains it again, so k_2 could not be timed beside it."""
    spec = write_spec(tmp_path)
    k_4 = plan_spec(spec, at).steps[0].unit.run
    sequential = plan_spec(spec, at).steps[2].unit.run
    at.store.add(fake_work.accuracy("fast", detect_digest=k_4.detect_digest))
    assert plan_spec(spec, at).trainings == 2  # `sequential` shares it, so it will be there
    at.store.add(fake_work.accuracy("sequential", detect_digest=sequential.detect_digest))
    with pytest.raises(
        SpecError, match=r"k_4: .*final\.pt was deleted; put it back; or write measure"
    ):
        plan_spec(spec, at)
    file = at.place.weights(k_4).with_name("run.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(run_yaml(k_4))
    with pytest.raises(SpecError, match=rf"`yolact-bench train {file} --work-dir "):
        plan_spec(spec, at)
    untimed = tmp_path / "untimed.yaml"
    untimed.write_text(spec.read_text() + "measure: [accuracy]\n")
    assert plan_spec(untimed, at).trainings == 1  # that of k_2
    time_all(at, untimed)
    assert plan_spec(spec, at).timed


def test_times_of_the_same_command_on_this_machine_are_taken(
    at: AblationContext, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path)
    assert not plan_spec(spec, at).timed
    time_all(at, spec)
    plan = plan_spec(spec, at)
    assert (plan.timed, plan.why_timed_again) == (True, "")


def test_two_rounds_do_not_stand_for_as_many_as_the_spec_asks(
    at: AblationContext, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path)
    time_all(at, spec)
    plan = plan_spec(spec, replace(at, timing=TimingLimits()))
    assert not plan.timed
    text = "\n".join(plan_lines(plan, estimate(plan, at.place, UserRates())))
    assert "in one session again (of the one before: it ended after 2 rounds" in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "another machine"}, "device another machine then, "),
        ({"device_type": "cuda"}, "device type cuda then, cpu now"),
        ({"threads": 99}, "threads 99 then, "),
    ],
)
def test_times_of_another_machine_or_device_are_not_taken(
    at: AblationContext, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    spec = write_spec(tmp_path)
    time_all(at, spec, environment=replace(environment("cpu"), **changes))  # type: ignore[arg-type]
    plan = plan_spec(spec, at)
    assert not plan.timed
    assert plan.why_timed_again.startswith(reason)


def test_a_twin_that_the_spec_asks_for_later_is_timed(at: AblationContext, tmp_path: Path) -> None:
    time_all(at, write_spec(tmp_path))
    spec = write_spec(tmp_path, SPEC + "latency: {twin: true}\n")
    assert plan_spec(spec, at).why_timed_again == "no arm was timed twice"
    time_all(at, spec, session="s2", protocol=replace(TWO_ROUNDS, twin_of="k_4"))
    assert plan_spec(spec, at).timed


def test_an_arm_whose_errors_could_not_be_analysed_is_timed(
    at: AblationContext, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path)
    time_all(at, spec, without="k_2")
    fail(at, spec, "k_2", "errors")
    assert plan_spec(spec, at).why_timed_again == "an arm was not timed in it"


@pytest.mark.parametrize("phase", ["train", "evaluate", "latency"])
def test_an_arm_that_failed_is_left_out_until_it_is_retried(
    at: AblationContext, tmp_path: Path, phase: str
) -> None:
    spec = write_spec(tmp_path)
    time_all(at, spec, without="k_2")
    fail(at, spec, "k_2", phase)
    assert plan_spec(spec, at).timed
    assert not plan_spec(spec, replace(at, retry_failed=True)).timed


def test_arms_evaluated_on_different_images_are_not_timed_together(
    at: AblationContext, tmp_path: Path
) -> None:
    other = "{name: shapes, train_images: 6, val_images: 4, size: 96}"
    text = SPEC.replace("k_2: {protonet.k: 2}", f"k_2: {{dataset: {other}}}")
    text = text.replace("changes: [", "changes: [dataset, ")
    with pytest.raises(SpecError, match=r"k_2.* other images .* write measure: \[accuracy\]"):
        plan_spec(write_spec(tmp_path, text), at)
    plan = plan_spec(write_spec(tmp_path, text + "measure: [accuracy]\n"), at)
    assert len(plan.steps) == 3


def test_an_expectation_of_an_arm_that_is_left_out_is_not_held_against_the_others(
    at: AblationContext, tmp_path: Path
) -> None:
    both = ["mask_ap[k_4] <= 1", "mask_ap[k_4] >= mask_ap[k_2] - 99"]
    spec = write_spec(tmp_path, f"{SPEC}expect: {both}\n")
    assert manifest_of(plan_spec(spec, at), command="").expect == tuple(both)
    plan = make_plan(load(spec), place=at.place, data_root=None, only=("k_4", "sequential"))
    assert manifest_of(plan, command="").expect == (both[0],)
