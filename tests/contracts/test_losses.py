"""What every entry of the loss tables must do."""

import pytest
import torch
from torch import Tensor, nn

from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.loss.box import BOX_LOSSES
from yolact_bench.loss.classify import CLASS_LOSSES
from yolact_bench.loss.mask import MASK_LOSSES
from yolact_bench.loss.mask_iou import MASK_IOU_LOSSES
from yolact_bench.loss.protocols import (
    BoxLoss,
    ClassLoss,
    MaskIouLoss,
    MaskLoss,
    Positives,
    SemanticLoss,
    SoftMasks,
)
from yolact_bench.loss.semantic import SEMANTIC_LOSSES
from yolact_bench.shapes import Target

CELLS, CLASSES, K = 12, 3, 4
TWO = torch.tensor(2.0)
counts = pytest.mark.parametrize("count", [0, 1, 4])


def check(term: Tensor | None, *inputs: Tensor) -> None:
    """A finite float32 scalar whose gradient reaches every input; or no term at all."""
    if term is None:
        return
    assert term.shape == ()
    assert term.dtype == torch.float32
    assert term.isfinite()
    gradients = torch.autograd.grad(term, inputs)
    assert all(gradient.isfinite().all() for gradient in gradients)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("loss", CLASS_LOSSES.values(), ids=CLASS_LOSSES)
@counts
def test_class_losses_are_finite_and_differentiable(loss: ClassLoss, count: int) -> None:
    scores = normal(2, 30, CLASSES + 1)
    labels = torch.zeros(2, 30, dtype=torch.int64)
    labels[0, :count] = 2
    labels[1, :5] = -1
    check(loss(scores, labels, TWO), scores)


@pytest.mark.parametrize("loss", CLASS_LOSSES.values(), ids=CLASS_LOSSES)
def test_class_losses_do_not_look_at_ignored_anchors(loss: ClassLoss) -> None:
    scores = normal(1, 10, CLASSES + 1)
    labels = torch.tensor([[1, -1, -1, 0, 0, 0, 0, 0, 0, 0]])
    (gradient,) = torch.autograd.grad(loss(scores, labels, TWO), scores)
    assert (gradient[0, 1:3] == 0).all()
    assert (gradient[0, 0] != 0).any()


@pytest.mark.parametrize("loss", CLASS_LOSSES.values(), ids=CLASS_LOSSES)
def test_class_losses_survive_extreme_logits(loss: ClassLoss) -> None:
    scores = (normal(1, 10, CLASSES + 1) * 1e4).detach().requires_grad_()
    check(loss(scores, torch.tensor([[1, 2, -1, 0, 0, 0, 0, 0, 0, 0]]), TWO), scores)


@pytest.mark.parametrize("loss", BOX_LOSSES.values(), ids=BOX_LOSSES)
@counts
def test_box_losses_are_finite_and_differentiable(loss: BoxLoss, count: int) -> None:
    regressions = normal(count, 4)
    anchors = anchor_grid(one_scale(), 64)[:count]
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9]]).expand(count, 4)
    check(loss(regressions, anchors, boxes, TWO), regressions)


@pytest.mark.parametrize("loss", MASK_LOSSES.values(), ids=MASK_LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e3], ids=["moderate", "saturated"])
@counts
def test_mask_losses_are_finite_and_differentiable(
    loss: MaskLoss, count: int, scale: float
) -> None:
    coefficients = (normal(count, K) * scale).detach().requires_grad_()
    prototypes = normal(CELLS, CELLS, K)
    image = Positives(
        coefficients=coefficients,
        truth=torch.zeros(count, dtype=torch.int64),
        prototypes=prototypes,
        boxes=torch.tensor([[0.1, 0.2, 0.5, 0.9]])[: min(count, 1)],
        labels=torch.tensor([1])[: min(count, 1)],
        masks=torch.ones(min(count, 1), 48, 48, dtype=torch.uint8),
    )
    term, masks = loss([image], TWO, None)
    check(term, coefficients, prototypes)
    assert masks[0].predicted.shape == masks[0].wanted.shape == (count, CELLS, CELLS)


@pytest.mark.parametrize("loss", SEMANTIC_LOSSES.values(), ids=SEMANTIC_LOSSES)
@counts
def test_semantic_losses_are_finite_and_differentiable(loss: SemanticLoss, count: int) -> None:
    logits = normal(1, CLASSES, CELLS, CELLS)
    target = Target(
        boxes=torch.zeros(count, 4),
        labels=torch.arange(count) % CLASSES,
        masks=torch.ones(count, 48, 48, dtype=torch.uint8),
        is_crowd=torch.zeros(count, dtype=torch.bool),
    )
    check(loss(logits, [target]), logits)


@pytest.mark.parametrize("loss", MASK_IOU_LOSSES.values(), ids=MASK_IOU_LOSSES)
@counts
@pytest.mark.parametrize("sees_features", [False, True])
def test_mask_iou_losses_are_finite_and_differentiable(
    loss: MaskIouLoss, count: int, sees_features: bool
) -> None:
    net = SeesFeatures() if sees_features else nn.Sequential(OnMasks(), nn.Flatten())
    predicted = normal(count, CELLS, CELLS).sigmoid().detach().requires_grad_()
    masks = SoftMasks(
        predicted=predicted,
        wanted=torch.ones(count, CELLS, CELLS),
        labels=torch.arange(count) % CLASSES,
        boxes=torch.tensor([[0.1, 0.2, 0.5, 0.9]]).expand(count, 4),
        features=(features := normal(1, 4, 6, 6),),
    )
    inputs = (predicted, *net.parameters(), *([features] if sees_features else []))
    check(loss([masks], net, TWO), *inputs)


class OnMasks(nn.Conv2d):
    """One value per class from a whole mask."""

    def __init__(self) -> None:
        super().__init__(1, CLASSES, CELLS)


class SeesFeatures(OnMasks):
    """As `OnMasks`, times the mean of the image's finest feature map."""

    needs_features = True

    def forward(self, masks: Tensor, boxes: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        assert len(boxes) == len(masks)
        return super().forward(masks).flatten(1) * features[0].mean()
