"""Losses, matches, mined negatives and gradients are the recorded ones of the reference."""

import zlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.golden import reference_inputs as inputs
from tests.support.golden_reference import (
    CONFIGS,
    gradient_faults,
    loss_faults,
    recorded_training,
    reference_shapes,
    training_batch,
    training_forward,
)
from tests.support.loss_cases import matches_of
from yolact_bench.build import build_losses
from yolact_bench.geometry.boxes import encode
from yolact_bench.loss import mask_iou
from yolact_bench.loss.classify import mined_negatives
from yolact_bench.loss.total import Losses
from yolact_bench.shapes import Predictions, Target
from yolact_bench.weights.released import our_key

# With batch statistics and deformable layers the reference itself is off by 9e-3 from float64.
GRADIENT_LIMITS = {
    ("yolact_resnet50", "frozen_bn"): 5e-3,
    ("yolact_plus_resnet50", "frozen_bn"): 5e-3,
    ("yolact_resnet50", "batch_bn"): 5e-3,
    ("yolact_plus_resnet50", "batch_bn"): 5e-2,
}


def test_the_fixture_makes_the_batch_that_was_recorded() -> None:
    crc = [
        [zlib.crc32(np.ascontiguousarray(one[key]).tobytes()) for key in keys]
        for one in inputs.make_train_batch(550)
        for keys in [("image", "masks", "boxes", "classes")]
    ]
    for config in CONFIGS:
        assert crc == recorded_training(config)["batch_crc32"]


@pytest.mark.parametrize(
    ("config", "statistics"),
    [
        ("yolact_resnet50", "frozen_bn"),
        ("yolact_plus_resnet50", "frozen_bn"),
        pytest.param("yolact_resnet50", "batch_bn", marks=pytest.mark.slow),
        pytest.param("yolact_plus_resnet50", "batch_bn", marks=pytest.mark.slow),
    ],
)
def test_a_training_step_is_that_of_the_reference(
    config: str, statistics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = recorded_training(config)[statistics]
    iou_targets = _spied(mask_iou, "true_iou", monkeypatch)
    detector, raw = training_forward(config, frozen=statistics == "frozen_bn")
    losses = build_losses(detector)
    targets = training_batch()[1]

    terms = losses(raw, targets)

    assert loss_faults(want["losses"], terms) == []
    _check_matches(losses, raw, targets, want)
    if "maskiou_target" in want:
        (ours,) = iou_targets
        assert len(ours) == len(want["maskiou_target"])  # one object is too small to count
        # Cut at 0.5, a cell may fall to either side; a target of 1000 cells then moves by 1e-3.
        assert torch.allclose(ours, torch.tensor(want["maskiou_target"]), atol=2e-3)

    sum(terms.values()).backward()

    ours = {name: p.grad for name, p in detector.network.named_parameters()}
    norms = {_ours(key): norm for key, norm in want["grad_l2"].items()}
    limit = GRADIENT_LIMITS[config, statistics]
    assert gradient_faults(norms, ours, limit) == []
    without = {_ours(key) for key in want["grad_none"]}
    assert {name for name, gradient in ours.items() if gradient is None} == without
    # The bias before a batch norm has no gradient but rounding: its mean takes it away.
    rounding = want.get("grad_roundoff", [])
    every = [key for key in reference_shapes(config) if _trains(key)]
    assert len(norms) + len(without) + len(rounding) == len(every)

    moved = want.get("running_stats_l2_after_forward", {})
    buffers = dict(detector.network.named_buffers())
    assert gradient_faults({_ours(k): n for k, n in moved.items()}, buffers, 1e-4) == []


def _check_matches(
    losses: Losses, raw: Predictions, targets: list[Target], want: dict[str, Any]
) -> None:
    matched = matches_of(losses, raw.anchors, targets)
    labels = torch.stack([label for label, _ in matched])
    flat = labels.flatten()
    truth = torch.cat([one for _, one in matched])
    positive = (flat > 0).nonzero().flatten()
    assert positive.tolist() == want["pos"]
    assert flat[positive].tolist() == want["pos_class"]
    assert truth[positive].tolist() == want["pos_gt"]
    assert (flat == -1).nonzero().flatten().tolist() == want["neutral"]
    assert (labels > 0).sum(1).tolist() == want["num_pos"]
    assert (labels == 0).sum(1).tolist() == want["num_background"]
    mined = mined_negatives(raw.class_logits, labels, 3)
    assert mined.flatten().nonzero().flatten().tolist() == want["ohem"]
    boxes = torch.cat([one.boxes[t] for one, (_, t) in zip(targets, matched, strict=True)])
    anchors = raw.anchors.repeat(len(targets), 1)
    coded = encode(boxes[positive], anchors[positive])
    assert torch.allclose(coded, torch.tensor(want["pos_loc_t"]), rtol=1e-5, atol=1e-5)


def _ours(key: str) -> str:
    name = our_key(key)
    assert name is not None
    return name


def _trains(key: str) -> bool:
    return not key.endswith(("running_mean", "running_var", "num_batches_tracked"))


def _spied(module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    original, seen = getattr(module, name), []

    def spy(*arguments: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = original(*arguments)
        seen.append(result)
        return result

    monkeypatch.setattr(module, name, spy)
    return seen
