"""What every NMS must do, whichever boxes it prefers."""

import pytest
import torch
from torch import Tensor

from yolact_bench.detect.nms import NMS
from yolact_bench.shapes import Kept
from yolact_bench.slots import options_of, pick

EVERY = pytest.mark.parametrize("name", sorted(NMS))
# Four boxes of side 0.2, far apart.
APART = torch.tensor(
    [[0.0, 0.0, 0.2, 0.2], [0.5, 0.0, 0.7, 0.2], [0.0, 0.5, 0.2, 0.7], [0.5, 0.5, 0.7, 0.7]]
)


def crowded(seed: int, anchors: int = 120, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Many overlapping boxes with distinct scores, partly outside the image."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(anchors, 2, generator=generator) * 0.8 - 0.1
    size = torch.rand(anchors, 2, generator=generator) * 0.4 + 0.05
    logits = torch.randn(anchors, classes + 1, generator=generator) * 2
    return torch.cat([corner, corner + size], 1), logits.softmax(1)[:, 1:]


def rows(kept: Kept) -> list[tuple[int, int]]:
    return list(zip(kept.anchor.tolist(), kept.label.tolist(), strict=True))


@EVERY
@pytest.mark.parametrize("anchors", [0, 4])
def test_nothing_above_the_threshold_gives_an_empty_result(name: str, anchors: int) -> None:
    kept = NMS[name](APART[:anchors], torch.full((anchors, 3), 0.01))
    assert kept.anchor.shape == kept.label.shape == kept.score.shape == (0,)
    assert kept.anchor.dtype == kept.label.dtype == torch.int64


@EVERY
def test_boxes_that_do_not_overlap_all_stay_with_their_scores(name: str) -> None:
    scores = torch.tensor([0.6, 0.9, 0.7, 0.8])
    kept = NMS[name](APART, scores[:, None])
    assert rows(kept) == [(1, 0), (3, 0), (2, 0), (0, 0)]
    assert torch.allclose(kept.score, torch.tensor([0.9, 0.8, 0.7, 0.6]))


@EVERY
def test_of_two_equal_boxes_of_a_class_the_worse_loses(name: str) -> None:
    boxes = APART[[0, 0]]
    kept = NMS[name](boxes, torch.tensor([[0.7], [0.9]]))
    assert rows(kept)[0] == (1, 0)
    assert all(score < 0.35 for score in kept.score[1:].tolist())  # gone, or less than half


@EVERY
@pytest.mark.parametrize("seed", [0, 1])
def test_the_result_is_sorted_and_refers_to_the_input(name: str, seed: int) -> None:
    boxes, scores = crowded(seed)
    kept = NMS[name](boxes, scores)
    assert 0 < len(kept.anchor) <= 200
    assert kept.score.diff().le(0).all()
    assert len(set(rows(kept))) == len(rows(kept))
    assert (kept.score <= scores[kept.anchor, kept.label] + 1e-6).all()


@EVERY
@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_input_does_not_matter(name: str, seed: int) -> None:
    boxes, scores = crowded(seed)
    order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(7))
    kept, shuffled = NMS[name](boxes, scores), NMS[name](boxes[order], scores[order])
    assert order[shuffled.anchor].tolist() == kept.anchor.tolist()
    assert shuffled.label.tolist() == kept.label.tolist()


@EVERY
def test_equal_scores_give_the_same_result_every_time(name: str) -> None:
    boxes, _ = crowded(3)
    scores = torch.full((len(boxes), 2), 0.4)
    first, second = NMS[name](boxes, scores), NMS[name](boxes, scores)
    assert rows(first) == rows(second)


@EVERY
def test_the_best_come_out_where_fewer_are_asked_for(name: str) -> None:
    boxes, scores = crowded(0)
    everything = NMS[name](boxes, scores)
    three = pick("nms", NMS, {"name": name, "max_detections": 3})(boxes, scores)
    assert rows(three) == rows(everything)[:3]


@EVERY
def test_a_higher_score_threshold_removes_weak_anchors(name: str) -> None:
    boxes, scores = crowded(0)
    kept = pick("nms", NMS, {"name": name, "min_score": 0.5})(boxes, scores)
    assert (scores[kept.anchor].amax(1) > 0.5).all()


@EVERY
def test_the_input_is_left_as_it_was(name: str) -> None:
    boxes, scores = crowded(0)
    before = boxes.clone(), scores.clone()
    NMS[name](boxes, scores)
    assert torch.equal(boxes, before[0])
    assert torch.equal(scores, before[1])


@EVERY
def test_the_source_is_named_and_the_common_options_exist(name: str) -> None:
    assert "Source:" in (NMS[name].__doc__ or "")
    assert {"min_score", "max_detections"} <= set(options_of(NMS[name]))
