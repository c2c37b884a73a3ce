"""Arms that re-score from feature maps: trained, evaluated, and never replayed without them."""

from dataclasses import replace
from pathlib import Path

from runners.arms.evaluate import predict_together, predict_unit
from tests.support.small_ablation import context, plan_spec, run_spec, train_once, write_spec
from yolact_bench.results.record import Accuracy, Failure

SLOW = "{name: mask_scoring, roi_size: 4, channels: 6, hidden: 10}"
HEAD = """\
# Does the slow re-scoring do better?
schema: 1
name: rescoring
base: yolact_tiny
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  mask_iou_loss: {name: smooth_l1, min_target_cells: 0}
  schedule: {name: steps, iterations: 3, batch_size: 2, lr: 0.001, warmup: 1, steps: [2]}
dataset: {name: shapes, train_images: 6, val_images: 3, size: 96}
measure: [accuracy]
"""
TRAINED = f"""\
baseline: fast
changes: [rescore_net]
arms:
  fast: {{rescore_net: {{name: mask_iou, channels: [4]}}, rescore: mask_iou}}
  slow: {{rescore_net: {SLOW}, rescore: mask_iou}}
"""
SHARED = f"""\
baseline: plain
changes: [rescore, nms]
arms:
  plain: {{rescore_net: {SLOW}}}
  soft: {{rescore_net: {SLOW}, nms: soft}}
  slow: {{rescore_net: {SLOW}, rescore: mask_iou}}
"""


def test_the_slow_head_trains_and_is_evaluated_beside_the_fast_network(tmp_path: Path) -> None:
    at = context(tmp_path / "work")
    run_spec(write_spec(tmp_path, HEAD + TRAINED), at)
    records = at.store.records()
    assert not [record for record in records if isinstance(record, Failure)]
    trained = {record.arm: record for record in records if isinstance(record, Accuracy)}
    assert trained["fast"].train_digest != trained["slow"].train_digest
    for record in trained.values():
        log = tmp_path / "work" / "checkpoints" / record.train_digest / "log.jsonl"
        assert "mask_iou" in log.read_text()


def test_an_arm_that_looks_at_feature_maps_is_not_replayed_and_its_siblings_are(
    tmp_path: Path,
) -> None:
    """One training, one pass for two arms; the third gets the whole detector, all end the same."""
    spec = write_spec(tmp_path, HEAD + SHARED)
    at = context(tmp_path / "work")
    units = [step.unit for step in plan_spec(spec, at).steps]
    train_once(units[0], at.place)
    predict_together(units, at.place)
    folders = {unit.arm: at.place.predictions(unit.run.detect_digest) for unit in units}
    assert {arm for arm, folder in folders.items() if folder.exists()} == {"plain", "soft"}
    replayed = {arm: (folders[arm] / "segm.json").read_bytes() for arm in ("plain", "soft")}

    other = replace(at.place, work_dir=tmp_path / "whole", max_store_bytes=0)
    train_once(units[0], other)
    for unit in units:
        predict_unit(unit, other)
    whole = {
        unit.arm: (other.predictions(unit.run.detect_digest) / "segm.json").read_bytes()
        for unit in units
    }
    assert replayed == {arm: whole[arm] for arm in replayed}
    assert len(set(whole.values())) == 3
