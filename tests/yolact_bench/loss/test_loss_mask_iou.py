"""The mask-IoU loss: true IoU, small objects left out, gradient into the masks."""

import pytest
import torch
from torch import Tensor, nn

from yolact_bench.errors import SpecError
from yolact_bench.loss.mask_iou import smooth_l1, true_iou
from yolact_bench.loss.protocols import SoftMasks

ONE = torch.tensor(1.0)


class MeanNet(nn.Module):
    """Predicts the mean of the mask for class 0 and 0 for class 1."""

    def forward(self, masks: Tensor) -> Tensor:
        mean = masks.mean(dim=(1, 2, 3))
        return torch.stack([mean, torch.zeros_like(mean)], 1)


def square(side: int) -> Tensor:
    mask = torch.zeros(1, 10, 10)
    mask[:, :side, :side] = 1.0
    return mask


def masks(predicted: Tensor, wanted: Tensor, label: int = 0) -> SoftMasks:
    labels = torch.full((len(wanted),), label)
    return SoftMasks(predicted=predicted, wanted=wanted, labels=labels)


def test_the_true_iou_cuts_the_prediction_above_a_half() -> None:
    """0.6 in 36 cells counts, 0.5 in the rest does not; 49 wanted: 36 / 49."""
    predicted = torch.where(square(6) > 0, 0.6, 0.5)
    assert true_iou(predicted, square(7)).item() == pytest.approx(36 / 49)


def test_the_loss_compares_the_value_of_the_objects_class() -> None:
    """Predicted 36 cells of 1, wanted 49: IoU 36/49. Class 0 says 0.36, class 1 says 0."""
    for label, said in ((0, 0.36), (1, 0.0)):
        loss = smooth_l1([masks(square(6), square(7), label)], MeanNet(), torch.tensor(2.0))
        assert loss.item() == pytest.approx(25 / 2 * 0.5 * (36 / 49 - said) ** 2, rel=1e-5)


def test_objects_of_25_cells_are_left_out_and_of_36_are_not() -> None:
    image = masks(torch.cat([square(4), square(6)]), torch.cat([square(5), square(6)]))
    alone = masks(square(6), square(6))
    assert smooth_l1([image], MeanNet(), ONE) == smooth_l1([alone], MeanNet(), ONE) > 0
    assert smooth_l1([image], MeanNet(), ONE, min_target_cells=36) == 0


def test_the_gradient_reaches_the_masks() -> None:
    predicted = square(6).requires_grad_()
    smooth_l1([masks(predicted, square(7))], MeanNet(), ONE).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().sum() > 0


def test_a_missing_network_is_named() -> None:
    with pytest.raises(SpecError, match="rescore_net"):
        smooth_l1([masks(square(6), square(7))], None, ONE)
