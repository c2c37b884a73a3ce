"""Detections replayed from a stored forward pass are those of the whole detector, bit for bit."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.arms import evaluate as evaluate_module
from runners.arms.evaluate import keep_pass, predict_together, predict_unit
from runners.evaluation.files import PredictionKey
from runners.evaluation.replay import EncodedMasks
from runners.evaluation.stored_pass import META_FILE, open_pass
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.support.small_ablation import context, plan_spec, run_spec, train_once, write_spec
from yolact_bench.detect.images import Image
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError, SpecError

# Two iterations leave every class near 1/6, so thousands of candidates compete in every arm.
VARIANTS = """\
# Do replays end as the detector does?
schema: 1
name: variants
base: yolact_tiny
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  rescore_net: {name: mask_iou, channels: [8, 16]}
  mask_iou_loss: smooth_l1
  schedule: {name: steps, iterations: 2, batch_size: 2, lr: 0.001, warmup: 1, steps: [1]}
dataset: {name: shapes, train_images: 4, val_images: 3, size: 96}
measure: [accuracy]
baseline: fast
changes: [nms, assembly, rescore]
arms:
  fast: {}
  low_threshold: {nms: {name: fast, min_score: 0.01}}
  few: {nms: {name: fast, top_k: 5, max_detections: 3}}
  cross_class: {nms: {name: cross_class_fast}}
  sequential: {nms: {name: sequential, grid_px: 72}}
  soft: {nms: {name: soft}}
  matrix: {nms: {name: matrix}}
  cluster: {nms: {name: cluster}}
  diou: {nms: {name: diou}}
  no_crop: {assembly: {name: linear_combination, crop: false}}
  sure_masks: {assembly: {name: linear_combination, mask_threshold: 0.7}}
  rescored: {rescore: mask_iou}
"""


def units_in(
    work_dir: Path, spec: Path, *, max_store_bytes: float = 100e9
) -> tuple[list[Unit], Workplace]:
    """Return the units of a spec and a place where their training is done."""
    at = context(work_dir)
    units = [step.unit for step in plan_spec(spec, at).steps]
    place = replace(at.place, max_store_bytes=max_store_bytes)
    train_once(units[0], place)
    return units, place


def record_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every detector adds the number of images it takes at a time."""
    batches: list[int] = []
    preprocess = Detector.preprocess

    def counted(self: Detector, images: Sequence[Image]) -> torch.Tensor:
        batches.append(len(images))
        return preprocess(self, images)

    monkeypatch.setattr(Detector, "preprocess", counted)
    return batches


def files_of(unit: Unit, place: Workplace) -> list[bytes]:
    """Return the bytes of a unit's prediction files."""
    folder = place.predictions(unit.run.detect_digest)
    return [(folder / name).read_bytes() for name in ("bbox.json", "segm.json", "meta.json")]


def test_every_variant_replayed_is_the_whole_detector_bit_for_bit(tmp_path: Path) -> None:
    """Same seed, same training: only the way to the detections differs."""
    spec = write_spec(tmp_path, VARIANTS)
    units, replayed = units_in(tmp_path / "replayed", spec)
    _, whole = units_in(tmp_path / "whole", spec, max_store_bytes=0)

    predict_together(units, replayed)
    for unit in units:
        predict_unit(unit, whole)

    assert len({unit.run.forward_digest for unit in units}) == 1
    assert len({unit.run.detect_digest for unit in units}) == len(units) == 12
    # Both thresholds let everything pass here; every other variant must differ to prove anything.
    assert len({files_of(unit, replayed)[1] for unit in units}) == len(units) - 1
    for unit in units:
        assert files_of(unit, replayed) == files_of(unit, whole), unit.arm
        assert json.loads(files_of(unit, replayed)[1]), f"{unit.arm} found nothing to compare"


def test_the_network_sees_each_image_once_for_all_variants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three images and four arms: three passes."""
    calls = 0
    original = evaluate_module.trained_detector

    def counting(*args: object) -> object:
        detector = original(*args)  # type: ignore[arg-type]
        forward = detector.network.forward

        def counted(*inputs: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            return forward(*inputs, **options)

        detector.network.forward = counted
        return detector

    monkeypatch.setattr(evaluate_module, "trained_detector", counting)
    at = context(tmp_path / "work")
    four = VARIANTS[: VARIANTS.index("  sequential:")].replace("nms, assembly, rescore", "nms")
    spec = write_spec(tmp_path, four)

    manifest = run_spec(spec, at)

    assert calls == 3
    assert len(manifest.runs) == 4
    assert all(at.store.accuracy(run.detect_digest) for run in manifest.runs)


def test_a_variant_added_later_uses_the_pass_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    predict_together([unit for unit in units if unit.arm != "soft"], place)
    monkeypatch.setattr(evaluate_module, "store_pass", _refuse)

    soft = next(unit for unit in units if unit.arm == "soft")
    predict_together([soft], place)

    assert json.loads(files_of(soft, place)[0])


def test_a_lower_threshold_than_was_kept_needs_a_new_pass(tmp_path: Path) -> None:
    """The first pass keeps what is above 0.05; an arm at 0.01 must not miss the rest."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    by_arm = {unit.arm: unit for unit in units}
    predict_together([by_arm["fast"], by_arm["matrix"]], place)
    assert _kept(by_arm["fast"], place) == 0.05

    predict_together([by_arm["low_threshold"], by_arm["soft"]], place)

    assert _kept(by_arm["fast"], place) == 0.01


def test_a_single_arm_stores_no_pass(tmp_path: Path) -> None:
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))

    predict_together(units[:1], place)

    assert not place.predictions(units[0].run.forward_digest).exists()


def test_an_interrupted_pass_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read of the second image is interrupted: the first, stored, is not read again."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    dataset = place.datasets.open(units[0].data, "val")
    read: list[int] = []
    interrupts = [1]
    image = type(dataset).image

    def interrupted(self: object, index: int) -> object:
        read.append(index)
        if index in interrupts:
            interrupts.remove(index)
            raise KeyboardInterrupt
        return image(self, index)  # type: ignore[arg-type]

    monkeypatch.setattr(type(dataset), "image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_together(units, place)
    assert read[:2] == [0, 1]  # the third may have been read ahead
    read.clear()
    predict_together(units, place)

    assert read == [1, 2]


def test_a_file_torn_by_a_power_loss_is_made_again(tmp_path: Path) -> None:
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    predict_together(units[:2], place)
    before = files_of(units[0], place)
    folder = place.predictions(units[0].run.forward_digest)
    torn = folder / "0000001.npz"
    torn.write_bytes(torn.read_bytes()[:1000])
    (folder / META_FILE).unlink()  # written last, so it was not there yet
    for name in ("bbox.json", "meta.json"):
        (place.predictions(units[0].run.detect_digest) / name).unlink()
        (place.predictions(units[1].run.detect_digest) / name).unlink()

    predict_together(units[:2], place)

    assert files_of(units[0], place) == before


def test_an_interrupted_pass_goes_on_with_the_batches_of_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the batches {0, 1} and {2}, image 1 is missing; 0 beside 1 rounds as it did before."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    place = replace(place, eval_batch=2)
    folder = keep_pass(units[0], place, min_score=0.01).folder
    (folder / "0000001.npz").unlink()
    (folder / META_FILE).unlink()
    batches = record_batches(monkeypatch)

    keep_pass(units[0], place, min_score=0.01)

    assert batches == [2]


def test_a_damaged_file_of_a_complete_pass_is_an_error_that_names_it(tmp_path: Path) -> None:
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    predict_together(units[:2], place)
    damaged = place.predictions(units[0].run.forward_digest) / "0000002.npz"
    damaged.write_bytes(damaged.read_bytes()[:-500])

    with pytest.raises(SpecError, match=r"0000002\.npz is damaged"):
        predict_together([units[4]], place)


def test_a_pass_larger_than_allowed_stops_with_the_option_to_raise(tmp_path: Path) -> None:
    units, place = units_in(
        tmp_path / "work", write_spec(tmp_path, VARIANTS), max_store_bytes=1000.0
    )

    with pytest.raises(ArmError, match="--max-store") as caught:
        predict_together(units, place)

    assert caught.value.kind == "store_full"


def test_run_lengths_are_used_again_only_for_the_very_same_mask() -> None:
    """The box is the same, the mask differs in one cell: two encodings."""
    mask = torch.zeros(1, 8, 8)
    mask[0, 2:5, 2:5] = 1.0
    other = mask.clone()
    other[0, 6, 6] = 1.0
    memory = EncodedMasks()

    first, again, different = (
        memory.run_lengths(_found(values))[0] for values in (mask, mask, other)
    )

    assert again is first
    assert different != first


def _found(mask: torch.Tensor) -> SoftDetections:
    return SoftDetections(
        boxes=torch.tensor([[0.1, 0.1, 0.9, 0.9]]),
        boxes_px=torch.tensor([[1.0, 1.0, 14.0, 14.0]]),
        scores=torch.tensor([0.5]),
        mask_scores=torch.tensor([0.5]),
        labels=torch.tensor([0]),
        soft_masks=mask,
        height=16,
        width=16,
        mask_threshold=0.5,
    )


def _kept(unit: Unit, place: Workplace) -> float:
    key = PredictionKey(unit.run.forward_digest, unit.run.train_digest, 3)
    stored = open_pass(place.predictions(unit.run.forward_digest), key)
    assert stored is not None
    return stored.min_score


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("the network ran again")
