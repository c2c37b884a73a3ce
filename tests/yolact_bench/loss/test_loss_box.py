"""The box loss: encoded target, smooth L1, weight and division."""

from math import log

import pytest
import torch

from yolact_bench.loss.box import smooth_l1


def test_the_loss_is_smooth_l1_against_the_encoded_box() -> None:
    """Anchor 0.2 wide at 0.5; box 0.4 to 0.62 by 0.4 to 0.6: its centre is off by 0.01, which is
    0.01 / (0.1 * 0.2) = 0.5, and its width gives log(1.1) / 0.2. Regressions: 0.5 too little in x,
    3 too much in y, exact in width and height. (0.5^2 / 2 + 3 - 0.5) * 1.5 / 4."""
    loss = smooth_l1(
        torch.tensor([[0.0, 3.0, log(1.1) / 0.2, 0.0]]),
        torch.tensor([[0.5, 0.5, 0.2, 0.2]]),
        torch.tensor([[0.4, 0.4, 0.62, 0.6]]),
        torch.tensor(4.0),
    )
    assert loss.item() == pytest.approx((0.125 + 2.5) * 1.5 / 4, rel=1e-5)
