"""Hard-negative mining, the cross-entropy over it, and the focal loss."""

from math import exp, log

import pytest
import torch

from yolact_bench.loss.classify import focal, mined_negatives, ohem_cross_entropy

ONE = torch.tensor(1.0)


def logits(*objectness: float) -> torch.Tensor:
    """One image, two classes: background 0, class 0 as given, class 1 hopeless."""
    return torch.tensor([[[0.0, value, -50.0] for value in objectness]])


def test_the_anchors_least_like_background_are_mined() -> None:
    """One positive, three negatives wanted: logits 5, 3 and 2 of the four that are background."""
    labels = torch.tensor([[1, 0, 0, 0, 0, -1]])
    mined = mined_negatives(logits(9.0, 2.0, 5.0, 1.0, 3.0, 8.0), labels, 3)
    assert mined.tolist() == [[False, True, True, False, True, False]]


def test_each_image_is_mined_for_its_own_positives() -> None:
    """Two positives at ratio 1 in the first image, none in the second."""
    scores = torch.cat([logits(1.0, 2.0, 3.0, 4.0, 5.0), logits(1.0, 2.0, 3.0, 4.0, 5.0)])
    labels = torch.tensor([[1, 2, 0, 0, 0], [0, 0, -1, 0, 0]])
    mined = mined_negatives(scores, labels, 1)
    assert mined.tolist() == [[False, False, False, True, True], [False] * 5]


def test_an_image_with_too_little_background_gives_all_of_it() -> None:
    labels = torch.tensor([[1, 1, 1, 0, -1]])
    mined = mined_negatives(logits(1.0, 2.0, 3.0, 4.0, 5.0), labels, 3)
    assert mined.tolist() == [[False, False, False, True, False]]


def test_one_extreme_anchor_does_not_spoil_the_rank_of_the_others() -> None:
    """Subtracting the batch maximum of 1e4 would make exp(5 - 1e4) and exp(2 - 1e4) both 0."""
    labels = torch.tensor([[1, 0, 0, 0]])
    mined = mined_negatives(logits(1e4, 2.0, 5.0, 1.0), labels, 1)
    assert mined.tolist() == [[False, False, True, False]]


def test_cross_entropy_counts_positives_and_mined_negatives_once() -> None:
    """Positive of logit 1: log(1 + e^-1). Mined of logit 2: log(1 + e^2). The anchors of logits
    0 and 7 are neither. Divided by 4, times 3."""
    labels = torch.tensor([[1, 0, 0, -1]])
    loss = ohem_cross_entropy(
        logits(1.0, 2.0, 0.0, 7.0),
        labels,
        torch.tensor(4.0),
        weight=3.0,
        negatives_per_positive=1,
    )
    expected = 3.0 / 4.0 * (log(1 + exp(-1)) + log(1 + exp(2)))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_focal_weighs_by_class_balance_and_difficulty() -> None:
    """Class 0 with logit 0 has p = 1/2: 0.25 * (1/2)^2 * log 2. Background against logit log 3
    has p = 1/4: 0.75 * (3/4)^2 * log 4. The ignored anchor adds nothing."""
    labels = torch.tensor([[1, 0, -1]])
    loss = focal(logits(0.0, log(3.0), 5.0), labels, ONE)
    expected = 0.25 * 0.25 * log(2) + 0.75 * 0.5625 * log(4)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_focal_without_focus_is_half_the_cross_entropy() -> None:
    """gamma 0 and alpha 1/2 leave 1/2 * (log 2 + log 4)."""
    labels = torch.tensor([[1, 0]])
    loss = focal(logits(0.0, log(3.0)), labels, ONE, alpha=0.5, gamma=0.0)
    assert loss.item() == pytest.approx(0.5 * (log(2) + log(4)), rel=1e-6)
