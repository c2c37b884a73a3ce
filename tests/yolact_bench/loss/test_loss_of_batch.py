"""The terms of a whole batch at once: those of its images one by one, in as many operations."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from tests.support.loss_cases import OperatorCount, as_on_a_device, objects
from yolact_bench.catalog import OWN
from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.loss import forms, match
from yolact_bench.loss.box import smooth_l1
from yolact_bench.loss.claims import claims
from yolact_bench.loss.classify import focal, ohem_cross_entropy
from yolact_bench.loss.mask import lincomb_bce, lincomb_bce_of_batch
from yolact_bench.loss.mask_iou import no_mask_iou_loss
from yolact_bench.loss.mask_iou import smooth_l1 as mask_iou_smooth_l1
from yolact_bench.loss.match import ssd_match
from yolact_bench.loss.padded import pad_objects
from yolact_bench.loss.protocols import BatchPositives
from yolact_bench.loss.semantic import bce, no_semantic_loss
from yolact_bench.loss.total import Losses
from yolact_bench.model.rescore import MaskIouNet
from yolact_bench.shapes import Predictions, Target, Targets
from yolact_bench.slots import fact, options_of

SIZE, CLASSES, K, CELLS = 96, 5, 4, 24
ANCHORS = anchor_grid(one_scale(scales=(8.0, 16.0, 24.0, 32.0, 48.0)), SIZE)
MIXED = [(7, 1), (0, 0), (12, 3), (2, 2), (1, 0)]  # objects, of which crowds
EVERY = 10**6  # positives: no subset is drawn


def losses(net: nn.Module | None, **changed: object) -> Losses:
    made = Losses(
        matcher=ssd_match,
        class_loss=ohem_cross_entropy,
        box_loss=smooth_l1,
        mask_loss=partial(lincomb_bce, max_positives=EVERY),
        semantic_loss=bce,
        mask_iou_loss=no_mask_iou_loss if net is None else mask_iou_smooth_l1,
        rescore_net=net,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def predictions(batch: int, seed: int = 0) -> Predictions:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random).requires_grad_()

    return Predictions(
        boxes=normal(batch, len(ANCHORS), 4),
        class_logits=normal(batch, len(ANCHORS), CLASSES + 1),
        coefficients=normal(batch, len(ANCHORS), K),
        prototypes=normal(batch, CELLS, CELLS, K),
        anchors=ANCHORS,
        semantic=normal(batch, CLASSES, CELLS // 2, CELLS // 2),
    )


def rescore_net() -> MaskIouNet:
    torch.manual_seed(0)
    return MaskIouNet(CLASSES, CELLS, 8, SIZE, channels=(4, 8))


def targets_of(batch: list[tuple[int, int]], side: int = SIZE) -> list[Target]:
    return [objects(n, crowds, side, seed) for seed, (n, crowds) in enumerate(batch)]


def terms_and_gradients(made: Losses, raw: Predictions, targets: list[Target]) -> dict[str, Tensor]:
    terms = made(raw, targets, torch.Generator().manual_seed(0))
    learn = [raw.boxes, raw.class_logits, raw.coefficients, raw.prototypes]
    learn += [raw.semantic] if "semantic" in terms else []  # type: ignore[list-item]
    learn += list(made.rescore_net.parameters()) if made.rescore_net is not None else []
    gradients = torch.autograd.grad(torch.stack(list(terms.values())).sum(), learn)
    return terms | {f"gradient {i}": g for i, g in enumerate(gradients)}


VARIANTS: dict[str, Callable[[], dict[str, object]]] = {
    "all terms": dict,
    "whole masks": lambda: {"mask_loss": partial(lincomb_bce, max_positives=EVERY, crop=False)},
    "no semantic term": lambda: {"semantic_loss": no_semantic_loss},
    "no network": lambda: {"mask_iou_loss": no_mask_iou_loss, "rescore_net": None},
    "focal": lambda: {"class_loss": focal},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "batch", [MIXED, MIXED[1:2] * 2, MIXED[3:4], MIXED[:1]], ids=["mixed", "empty", "crowds", "one"]
)
def test_terms_and_gradients_are_those_of_images_one_by_one(
    monkeypatch: pytest.MonkeyPatch, variant: str, batch: list[tuple[int, int]]
) -> None:
    made = losses(rescore_net(), **VARIANTS[variant]())
    raw, targets = predictions(len(batch)), targets_of(batch)
    wanted = terms_and_gradients(made, raw, targets)
    as_on_a_device(monkeypatch)
    found = terms_and_gradients(made, raw, targets)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_masks_rasterised_small_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made, raw, targets = losses(None), predictions(2), targets_of(MIXED[::2][:2], CELLS)
    wanted = made(raw, targets)
    as_on_a_device(monkeypatch)
    found = made(raw, targets)
    assert {n: t.item() for n, t in found.items()} == pytest.approx(
        {n: t.item() for n, t in wanted.items()}, rel=1e-5
    )


def all_positive(count: int, limit: int, seed: int) -> tuple[Tensor, list[list[int]], list[int]]:
    """Loss of `count` equal positives, which objects were looked at, of how many anchors."""
    target = Target(
        boxes=torch.tensor([[0.25, 0.25, 0.75, 0.75]]).repeat(count, 1),
        labels=torch.arange(count),
        masks=torch.ones(count, CELLS, CELLS, dtype=torch.uint8),
        is_crowd=torch.zeros(count, dtype=torch.bool),
    )
    some = Target(
        boxes=target.boxes[:2],
        labels=target.labels[:2],
        masks=target.masks[:2],
        is_crowd=target.is_crowd[:2],
    )
    positive = torch.zeros(2, 3 * count, dtype=torch.bool)
    positive[0, ::3], positive[1, :2] = True, True
    truth = torch.zeros(2, 3 * count, dtype=torch.int64)
    truth[0, ::3], truth[1, :2] = torch.arange(count), torch.arange(2)
    batch = BatchPositives(
        coefficients=torch.ones(2, 3 * count, 1),
        prototypes=torch.full((2, CELLS, CELLS, 1), 0.3),
        positive=positive,
        truth=truth,
        objects=pad_objects(Targets.of([target, some])),
    )
    generator = torch.Generator().manual_seed(seed)
    loss, masks = lincomb_bce_of_batch(batch, torch.tensor(1.0), generator, max_positives=limit)
    rows = min(limit, 3 * count)
    labels, used = masks.labels.view(2, rows), masks.used.view(2, rows)
    seen = [sorted(row[some].tolist()) for row, some in zip(labels, used, strict=True)]
    return loss, seen, used.sum(dim=1).tolist()


def test_above_the_limit_a_subset_stands_for_all() -> None:
    """Ten equal positives, four looked at and scaled by 10/4; the other image has two, all used."""
    every, _, counts = all_positive(10, 100, 0)
    assert counts == [10, 2]
    some, seen, counts = all_positive(10, 4, 0)
    assert counts == [4, 2]
    assert len(set(seen[0])) == 4
    assert seen[1] == [0, 1]
    assert some.item() == pytest.approx(every.item(), rel=1e-5)


def test_the_subset_is_the_generators() -> None:
    drawn = [tuple(all_positive(10, 4, seed)[1][0]) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 2


def test_a_network_that_overflowed_gives_a_loss_that_is_no_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_on_a_device(monkeypatch)
    raw = predictions(1)
    raw = replace(raw, coefficients=torch.full_like(raw.coefficients, torch.nan))
    assert bool(losses(None)(raw, targets_of(MIXED[:1]))["mask"].isnan())


def operators(counted: OperatorCount, batch: int, largest: int) -> int:
    """Of the losses of such a batch, whose fullest image has so many objects."""
    made, raw = losses(rescore_net(), mask_loss=lincomb_bce), predictions(batch)
    sizes = [largest, *(2 + image % (largest - 1) for image in range(batch - 1))]
    targets = Targets.of([objects(n, n % 2, SIZE, n) for n in sizes])
    with counted:
        made(raw, targets, torch.Generator())
    return counted.operators


def test_a_step_takes_as_many_operators_whatever_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At most 250, re-scoring network included, where a kernel finds the claims."""
    as_on_a_device(monkeypatch)
    counts = []
    for batch, largest in ((8, 9), (32, 9), (8, 40)):
        counted = OperatorCount()

        def launched(best: Tensor, counted: OperatorCount = counted) -> tuple[Tensor, Tensor]:
            with counted.as_one():
                return claims(best)

        monkeypatch.setattr(match, "claims_of_batch", launched)
        counts.append(operators(counted, batch, largest))
    assert len(set(counts)) == 1
    assert counts[0] <= 250


def test_without_that_kernel_each_object_of_the_fullest_image_takes_seven_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_on_a_device(monkeypatch)
    counts = [operators(OperatorCount(), batch, n) for batch, n in ((8, 4), (8, 9), (32, 9))]
    assert counts[1] == counts[2] == counts[0] + 7 * 5


@pytest.mark.parametrize(
    "slot", ["matcher", "box_loss", "mask_loss", "semantic_loss", "mask_iou_loss"]
)
def test_a_form_has_the_options_of_its_component(slot: str) -> None:
    for component in OWN[slot].values():
        form = fact(component, "of_batch")
        if form is not None:
            own, its = options_of(component), options_of(form)
            assert {o: (p.default, p.annotation) for o, p in own.items()} == {
                o: (p.default, p.annotation) for o, p in its.items()
            }


def test_a_component_without_a_form_is_named_once_and_takes_an_image_at_a_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def other(*tensors: Tensor, weight: float = 1.0) -> Tensor:
        return smooth_l1(*tensors, weight=weight)

    forms._warn_of_waiting.cache_clear()
    raw, targets = predictions(2), targets_of(MIXED[:2])
    wanted = losses(None, box_loss=partial(smooth_l1, weight=1.0))(raw, targets)
    as_on_a_device(monkeypatch)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = losses(None, box_loss=other)(raw, targets)
    assert found == wanted
    assert [record.name for record in caplog.records].count(forms.log.name) == 1
    assert "box_loss: the chosen component takes one image at a time" in caplog.text
