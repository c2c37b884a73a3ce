"""What every mask-IoU loss must do with a network that looks at feature maps."""

import pytest
import torch
from torch import Tensor, nn

from yolact_bench.loss.mask_iou import MASK_IOU_LOSSES
from yolact_bench.loss.protocols import MaskIouLoss, SoftMasks

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
