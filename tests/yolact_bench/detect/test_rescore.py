"""Re-scorers: their arithmetic, and what they say without their network."""

import pytest
import torch
from torch import Tensor

from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.errors import SpecError


def column_number(masks: Tensor) -> Tensor:
    """A network whose predicted IoU for class c is c / 10, whatever the mask."""
    assert masks.ndim == 4
    assert masks.shape[1] == 1
    return (torch.arange(5.0) / 10).expand(len(masks), 5)


def test_mask_iou_multiplies_by_the_prediction_for_the_detections_own_class() -> None:
    """Classes 4 and 2 are predicted 0.4 and 0.2: 0.9 · 0.4 = 0.36, 0.5 · 0.2 = 0.1."""
    rescored = RESCORERS["mask_iou"](
        torch.rand(2, 6, 6), torch.tensor([4, 2]), torch.tensor([0.9, 0.5]), column_number
    )
    assert rescored.tolist() == pytest.approx([0.36, 0.1])


def test_mask_iou_without_its_network_says_what_to_write() -> None:
    with pytest.raises(SpecError, match="write a rescore_net that makes one"):
        RESCORERS["mask_iou"](torch.rand(1, 6, 6), torch.tensor([0]), torch.tensor([0.9]), None)


def test_none_needs_no_network() -> None:
    scores = torch.tensor([0.9])
    assert RESCORERS["none"](torch.rand(1, 6, 6), torch.tensor([0]), scores, None) is scores
