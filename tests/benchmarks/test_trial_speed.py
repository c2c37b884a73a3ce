"""One trial of a search over detection, beside replaying it into files and scoring those."""

import shutil
from dataclasses import replace
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from runners.arms.evaluate import keep_pass, predict_together
from runners.arms.train import ensure_trained
from runners.evaluation.score import Scores, score_predictions
from runners.sweep.replay.scorer import TrialScorer
from runners.units.check import check
from tests.benchmarks.alternating import compare
from tests.support.planted_pass import plant
from tests.support.small_ablation import context, plan_spec, write_spec

SPEC = """\
# How fast is a trial?
schema: 1
name: trials
base: yolact_tiny
set:
  batch_norm: train
  schedule: {name: steps, iterations: 1, batch_size: 2, lr: 0.001, warmup: 1, steps: [1]}
dataset: {name: shapes, train_images: 2, val_images: IMAGES}
measure: [accuracy]
baseline: only
changes: []
arms:
  only: {}
"""


def test_a_trial_of_a_search(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """192×192 pixels, 4 objects and 170 candidates an image; most masks known from other trials."""
    images = 4 if benchmark.disabled else 50
    spec = write_spec(tmp_path, SPEC.replace("IMAGES", str(images)))
    unit = plan_spec(spec, context(tmp_path / "work")).steps[0].unit
    place = context(tmp_path / "work").place
    ensure_trained(unit, place)
    dataset = place.datasets.open(unit.data, unit.split)
    plant(keep_pass(unit, place, min_score=0.01).folder, dataset)
    run = unit.run.changed({"nms": {"name": "sequential", "max_iou": 0.6}})
    trial = replace(unit, run=check(run, where="trial", data_root=None, device="cpu")[0])
    folder = place.predictions(trial.run.detect_digest)
    scorer = TrialScorer(unit, place, min_score=0.01)

    def through_files() -> Scores:
        shutil.rmtree(folder, ignore_errors=True)
        predict_together([trial], place)
        return score_predictions(dataset, folder)

    def in_memory() -> Scores:
        return scorer.score(trial.run)

    assert in_memory() == through_files()
    compare(
        benchmark,
        f"a trial of detection, {images} images",
        {"through files": through_files, "in memory": in_memory},
        reference="through files",
        target=10.0,
        threads=1,
    )
