"""The recorded losses and gradients notice each quirk of the training when it is undone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.golden_reference import (
    gradient_faults,
    loss_faults,
    recorded_training,
    training_batch,
    training_forward,
)
from tests.support.loss_cases import as_on_a_device
from tests.support.paths import GOLDEN
from yolact_bench.build import build_losses
from yolact_bench.detector import Detector
from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.loss import mask, mask_iou, match, semantic
from yolact_bench.loss.box import smooth_l1 as box_smooth_l1
from yolact_bench.loss.classify import ohem_cross_entropy
from yolact_bench.loss.mask import SoftMasks, lincomb_bce
from yolact_bench.loss.match import ssd_match
from yolact_bench.loss.semantic import bce
from yolact_bench.loss.total import Losses
from yolact_bench.shapes import Predictions, Target

PLUS = "yolact_plus_resnet50"  # has all five terms
PROTOTYPES = "protonet.prototypes."
WANT = recorded_training(PLUS)["frozen_bn"]


@cache
def forward() -> tuple[Detector, Predictions]:
    """One step in which only the last layer of the protonet can learn: that keeps it small."""
    return training_forward(PLUS, frozen=True, only=PROTOTYPES)


def faults_of_losses(**changed: object) -> list[str]:
    """Terms that differ from the recorded ones when slots are replaced."""
    made, raw = forward()
    losses = build_losses(made)
    for slot, component in changed.items():
        setattr(losses, slot, component)
    with torch.no_grad():
        terms = losses(raw, training_batch()[1], torch.Generator().manual_seed(0))
    return [fault.split(" ")[0] for fault in loss_faults(WANT["losses"], terms)]


def test_the_unchanged_losses_differ_in_nothing() -> None:
    assert faults_of_losses() == []


def test_the_losses_as_on_a_device_are_the_recorded_ones_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And to 1e-5 those of images one by one: none has so many positives that some are drawn."""
    made, raw = forward()
    targets = training_batch()[1]
    with torch.no_grad():
        wanted = build_losses(made)(raw, targets)
        as_on_a_device(monkeypatch)
        found = build_losses(made)(raw, targets)
    assert loss_faults(WANT["losses"], found) == []
    assert max(WANT["num_pos"]) <= 100
    for name, term in wanted.items():
        torch.testing.assert_close(found[name], term, rtol=1e-5, atol=0.0)


SLOTS: Mapping[str, tuple[dict[str, object], set[str]]] = {
    "positive from 0.55": ({"matcher": partial(ssd_match, positive_iou=0.55)}, {"box", "mask"}),
    "background below 0.45": ({"matcher": partial(ssd_match, negative_iou=0.45)}, {"class"}),
    "box weight 1": ({"box_loss": partial(box_smooth_l1, weight=1.0)}, {"box"}),
    "two negatives": (
        {"class_loss": partial(ohem_cross_entropy, negatives_per_positive=2)},
        {"class"},
    ),
    "mask weight 6": ({"mask_loss": partial(lincomb_bce, weight=6.0)}, {"mask"}),
    "no crop in the loss": ({"mask_loss": partial(lincomb_bce, crop=False)}, {"mask"}),
    "at most 50 masks": ({"mask_loss": partial(lincomb_bce, max_positives=50)}, {"mask"}),
    "semantic weight 2": ({"semantic_loss": partial(bce, weight=2.0)}, {"semantic"}),
    "small objects count": (
        {"mask_iou_loss": partial(mask_iou.smooth_l1, min_target_cells=0)},
        {"mask_iou"},
    ),
}


@pytest.mark.parametrize("name", SLOTS)
def test_another_loss_is_noticed(name: str) -> None:
    changed, noticed = SLOTS[name]
    assert noticed <= set(faults_of_losses(**changed))


def test_crowds_as_background_are_noticed() -> None:
    """None of the anchors in the crowd is mined, so it is the match that tells and not a loss."""
    _, raw = forward()
    ignored = []
    for crowd_iou in (0.7, 1.1):
        labels = [
            ssd_match(raw.anchors, t, crowd_iou=crowd_iou).labels for t in training_batch()[1]
        ]
        ignored.append((torch.cat(labels) == -1).nonzero().flatten().tolist())
    assert ignored[0] == WANT["neutral"]
    assert ignored[1] != WANT["neutral"]


def _nearest(masks: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(masks.float()[:, None], (height, width), mode="nearest")[:, 0]


def _united_first(target: Target, shape: Sequence[int]) -> Tensor:
    """As `class_maps`, but classes are united at full size and then resized."""
    objects = ~target.is_crowd
    side = target.masks.shape[-1]
    full = torch.zeros(shape[0], side, side)
    full = full.index_add(0, target.labels[objects], target.masks[objects].float()).clamp(max=1)
    return F.interpolate(full[None], (shape[1], shape[2]), mode="bilinear")[0]


def _tight_crop(masks: Tensor, boxes: Tensor) -> Tensor:
    from yolact_bench.geometry.masks import crop

    return crop(masks, boxes, padding=0)


def _relative_area(boxes: Tensor, masks: Tensor, *, crop: bool) -> Tensor:
    return torch.full((len(boxes),), float(masks.shape[1] * masks.shape[2]))


FUNCTIONS: Mapping[str, tuple[object, str, object, set[str]]] = {
    "nearest mask targets": (mask, "masks_at", _nearest, {"mask"}),
    "nearest semantic targets": (semantic, "masks_at", _nearest, {"semantic"}),
    "classes united before resizing": (semantic, "class_maps", _united_first, {"semantic"}),
    "not divided by the box": (mask, "_area_in_cells", _relative_area, {"mask"}),
    "soft mask IoU": (
        mask_iou,
        "true_iou",
        lambda p, w: (p * w).sum((1, 2)) / (p + w - p * w).sum((1, 2)),
        {"mask_iou"},
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_another_function_of_a_loss_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, wrong, noticed = FUNCTIONS[name]
    monkeypatch.setattr(module, attribute, wrong)
    assert noticed <= set(faults_of_losses())


def test_a_crop_without_padding_is_noticed_in_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    from yolact_bench.geometry import masks

    monkeypatch.setattr(masks, "crop", partial(masks.crop, padding=0))
    assert {"mask", "mask_iou"} <= set(faults_of_losses())


def test_a_cropped_target_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference crops what it predicts and leaves the target whole."""
    whole = mask._assemble

    def assemble(
        image: mask.Positives, rows: object, boxes: Tensor, **options: object
    ) -> SoftMasks:
        masks = whole(image, rows, boxes, **options)  # type: ignore[arg-type]
        return replace(masks, wanted=_tight_crop(masks.wanted, boxes * 0.9))

    monkeypatch.setattr(mask, "_assemble", assemble)
    assert "mask" in faults_of_losses()


def _gradient_faults(loss: Callable[..., Tensor | None]) -> Sequence[str]:
    made, raw = forward()
    losses: Losses = build_losses(made)
    losses.mask_iou_loss = loss  # type: ignore[assignment]
    terms = losses(raw, training_batch()[1])
    own = {
        name: parameter
        for name, parameter in made.network.named_parameters()
        if name.startswith(PROTOTYPES)
    }
    gradients = torch.autograd.grad(sum(terms.values()), list(own.values()), retain_graph=True)  # type: ignore[arg-type]
    found = dict(zip(own, gradients, strict=True))
    keys = {"weight": "proto_net.10.weight", "bias": "proto_net.10.bias"}
    want = {f"{PROTOTYPES}{leaf}": WANT["grad_l2"][key] for leaf, key in keys.items()}
    return gradient_faults(want, found, 5e-3)


def test_a_detached_input_of_the_mask_iou_network_is_noticed() -> None:
    """The term trains the prototypes too; no loss changes when it does not, only gradients."""

    def detached(images: Sequence[SoftMasks], net: object, normaliser: Tensor) -> Tensor:
        apart = [replace(one, predicted=one.predicted.detach()) for one in images]
        return mask_iou.smooth_l1(apart, net, normaliser)  # type: ignore[arg-type]

    assert _gradient_faults(mask_iou.smooth_l1) == []
    assert _gradient_faults(detached)


def test_objects_that_claim_no_anchor_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/golden/match_cases.npz has boxes that no anchor overlaps by half."""
    recorded = np.load(GOLDEN / "match_cases.npz")
    boxes = torch.from_numpy(recorded["boxes"])
    target = Target(
        boxes=boxes,
        labels=torch.from_numpy(recorded["classes"]),
        masks=torch.zeros(len(boxes), 2, 2, dtype=torch.uint8),
        is_crowd=torch.zeros(len(boxes), dtype=torch.bool),
    )
    anchors = anchor_grid(one_scale(), 550)
    positives = recorded["v1/pos"].tolist()
    assert (ssd_match(anchors, target).labels > 0).nonzero().flatten().tolist() == positives
    nobody = torch.zeros(0, dtype=torch.int64)
    monkeypatch.setattr(match, "claims", lambda best: (nobody, nobody))
    assert (ssd_match(anchors, target).labels > 0).nonzero().flatten().tolist() != positives
