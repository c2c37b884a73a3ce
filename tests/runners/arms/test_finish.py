"""A job in this process: its units' results are those that the flow finds one by one."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runners.arms import finish as engine
from runners.arms import train as training
from runners.arms.finish import finish
from runners.arms.job import Job
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.support.small_ablation import SPEC, context, plan_spec, run_spec, train_once, write_spec
from yolact_bench.errors import ArmError
from yolact_bench.results.record import Accuracy, Failure, Record
from yolact_bench.spec.base_run import read_run

# One training; two precisions of inference, each with two variants of NMS.
TWO_PASSES = (
    SPEC[: SPEC.index("changes:")]
    + """\
measure: [accuracy]
changes: [nms, runtime]
arms:
  k_4: {}
  halved: {runtime: {name: eager, precision: bf16}}
  soft: {nms: {name: soft}}
  halved_soft: {nms: {name: soft}, runtime: {name: eager, precision: bf16}}
"""
)
# One of them, without the second precision.
ONE_PASS = "".join(
    line for line in TWO_PASSES.splitlines(keepends=True) if "halved" not in line
).replace("[nms, runtime]", "[nms]")


def job_of(folder: Path, text: str) -> Job:
    at = context(folder / "job")
    units = tuple(step.unit for step in plan_spec(write_spec(folder, text), at).steps)
    train_once(units[0], at.place)
    return Job(units=units, place=at.place)


def finish_all(job: Job) -> list[Record]:
    return [record for records in finish(job) for record in records]


def lasting(result: Record) -> object:
    assert isinstance(result, Accuracy), result
    return result.arm, result.detect_digest, result.box, result.mask, result.num_images


def test_a_job_of_two_forward_passes_finds_what_the_flow_finds(tmp_path: Path) -> None:
    job = job_of(tmp_path, TWO_PASSES)
    assert len({unit.run.forward_digest for unit in job.units}) == 2
    flow = context(tmp_path / "flow")
    run_spec(write_spec(tmp_path, TWO_PASSES), flow)
    one_by_one = [flow.store.accuracy(unit.run.detect_digest) for unit in job.units]
    results = finish_all(job)
    assert [lasting(result) for result in results] == [lasting(r) for r in one_by_one if r]
    for unit in job.units:  # detections too, as scores of three images may agree by chance
        mine, flows = (at.predictions(unit.run.detect_digest) for at in (job.place, flow.place))
        assert (mine / "bbox.json").read_bytes() == (flows / "bbox.json").read_bytes()
        assert (mine / "segm.json").read_bytes() == (flows / "segm.json").read_bytes()


def test_units_that_cannot_be_predicted_together_are_predicted_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a unit would fail for what is wrong with another that shares its pass."""

    job = job_of(tmp_path, ONE_PASS)
    monkeypatch.setattr(engine, "predict_together", _only_alone)
    assert [type(result) for result in finish_all(job)] == [Accuracy] * 2


def _only_alone(units: Sequence[Unit], place: Workplace) -> None:
    if len(units) > 1:
        raise ValueError("one of these cannot be replayed")


def test_an_accuracy_stands_where_its_intervals_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(engine, "ensure_resampled", broken)
    job = job_of(tmp_path, ONE_PASS)
    results = finish_all(job)
    assert [type(result) for result in results] == [Accuracy] * 2


def test_a_training_that_fails_fails_all_its_units_and_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def broken(unit: Unit, place: Workplace, **_: object) -> None:
        tried.append(unit.arm)
        raise ArmError("non_finite_loss", "the box loss is not finite")

    monkeypatch.setattr(engine, "ensure_trained", broken)
    results = finish_all(job_of(tmp_path, TWO_PASSES))
    assert tried == ["k_4"]
    assert all(isinstance(result, Failure) for result in results)
    output = {(r.phase, r.kind) for r in results if isinstance(r, Failure)}
    assert output == {("train", "non_finite_loss")}
    assert isinstance(results[1], Failure)
    assert "shared with k_4" in results[1].message


def test_an_undefined_ap_is_left_out_of_a_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images without any object have no AP, which is not 0."""
    mask, box = SimpleNamespace(ap=None, ap50=None), SimpleNamespace(ap=0.25)
    scores = SimpleNamespace(mask=mask, box=box)
    monkeypatch.setattr(training, "validate", lambda *_, **__: scores)
    monkeypatch.setattr(training, "build_detector", lambda *_, **__: None)
    run = read_run("yolact_tiny", relative_to=Path())
    validation = training.make_validation(run, lambda: cast(Any, None), device="cpu")
    assert validation(cast(Any, None)) == {"box_ap": 0.25}
