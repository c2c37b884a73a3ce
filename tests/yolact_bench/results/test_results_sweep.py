"""The sweep as a report reads it."""

from pathlib import Path

import pytest

from yolact_bench.errors import SpecError
from yolact_bench.results.record import Environment
from yolact_bench.results.sweep import Sweep, Trial, load, save
from yolact_bench.spec.sweep.keys import Objective

HERE = Environment(
    commit="c0ffee",
    dirty=False,
    device="AMD EPYC (CPU)",
    device_type="cpu",
    threads=2,
    driver="",
    os="Linux",
    versions={"torch": "2.11"},
)


def sweep_of(*trials: Trial) -> Sweep:
    return Sweep(
        name="small",
        question="Which?",
        command="yolact-bench sweep sweeps/small.yaml",
        mode="single",
        base="yolact_tiny",
        dataset="shapes",
        objectives=(Objective(metric="mask_ap", maximise=True),),
        latency_budget_ms=None,
        num_trials=2,
        trains=True,
        base_metrics={"mask_ap": 0.3},
        trials=trials,
        best=(0,),
        importance={"mask_ap": {"schedule.lr": 0.75, "protonet.k": 0.25}},
        sampler="tpe, seed 0",
        pruner="median",
        environment=HERE,
        seconds=12.5,
        time="2026-01-01T00:00:00+00:00",
    )


def test_a_sweep_is_read_as_it_was_written(tmp_path: Path) -> None:
    trial = Trial(
        number=0,
        state="complete",
        changes={"nms": {"name": "fast", "max_iou": 0.4}, "protonet.k": 8},
        params={"nms": "fast", "nms.fast.max_iou": 0.4, "protonet.k": 8},
        metrics={"mask_ap": 0.31},
        iterations=(10, 20),
        curve=(0.1, 0.2),
        train_digest="t",
        detect_digest="d",
        seconds=3.5,
        reason="",
        origin="",
    )
    written = sweep_of(trial)

    save(written, tmp_path)

    assert load(tmp_path) == written
    assert '"asked": 2' in (tmp_path / "sweep.json").read_text()  # the key of earlier files


def test_a_sweep_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="yolact-bench sweep"):
        load(tmp_path)
