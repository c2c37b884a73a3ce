"""A sweep over detection alone: one training, one forward pass, and the numbers of `evaluate`."""

from pathlib import Path

import pytest

from runners.arms.evaluate import evaluate_unit
from runners.arms.train import ensure_trained
from runners.executors import Executor
from runners.sweep.check import check_sweep
from runners.sweep.flow import SweepContext, run_sweep
from runners.timing.records import TimingLimits
from tests.support.no_tracker import NoTracker
from tests.support.small_ablation import context
from yolact_bench.results.record import Accuracy
from yolact_bench.spec.sweep.sweep import load_sweep

SPEC = """\
# Which NMS?
schema: 1
name: replays
base: yolact_tiny
dataset: {name: shapes, train_images: 6, val_images: 3, size: 96}
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  schedule: {name: steps, iterations: 3, batch_size: 2, lr: 0.003, warmup: 1, steps: [2]}
objectives: {box_ar_100: maximise}
sampler: grid
trials: 6
space:
  nms: {fast: {max_iou: [0.3, 0.6]}, soft: {}}
  nms.max_detections: [5, 100]
"""


def none_is_needed() -> Executor:
    raise AssertionError("replays train nothing")


def test_trials_have_the_numbers_of_evaluate_and_the_best_leaves_its_record(
    tmp_path: Path,
) -> None:
    file = tmp_path / "replays.yaml"
    file.write_text(SPEC)
    at = context(tmp_path / "work")
    checked = check_sweep(load_sweep(file), at.place, None)
    made = SweepContext(
        place=at.place,
        tracker=NoTracker(),
        timing=TimingLimits(),
        data_root=None,
        storage=None,
        make_executor=none_is_needed,
    )

    sweep = run_sweep(checked, made, command="yolact-bench sweep replays.yaml")

    assert [trial.state for trial in sweep.trials] == ["complete"] * 6  # (2 + 1) · 2
    assert len({trial.train_digest for trial in sweep.trials}) == 1
    assert len({trial.metrics["box_ar_100"] for trial in sweep.trials}) > 1
    (best,) = sweep.best
    recorded = at.store.accuracy(sweep.trials[best].detect_digest)
    assert isinstance(recorded, Accuracy)
    for trial in sweep.trials:
        unit = checked.factory.trial(trial.number, trial.params)
        found = evaluate_unit(unit, at.place, ensure_trained(unit, at.place))
        assert trial.metrics["box_ar_100"] == found.box.ar_100
        assert trial.metrics["mask_ap"] == pytest.approx(found.mask.ap, abs=0)
    assert sweep.trials[best].metrics["box_ar_100"] == recorded.box.ar_100
