"""What every NMS must do."""

import torch
from torch import Tensor

from yolact_bench.catalog import components
from yolact_bench.detect.protocols import Nms
from yolact_bench.shapes import Selection
from yolact_bench.slots import fact, form_of, options_of, pick
from yolact_bench.torch_internals import operator_graph

# Four boxes of side 0.2, far apart.
_APART = torch.tensor(
    [[0.0, 0.0, 0.2, 0.2], [0.5, 0.0, 0.7, 0.2], [0.0, 0.5, 0.2, 0.7], [0.5, 0.5, 0.7, 0.7]]
)


def nms_has_the_common_options(slot: str, name: str) -> None:
    """`min_score` and `max_detections` mean the same for all."""
    assert {"min_score", "max_detections"} <= set(options_of(components(slot)[name]))
    boxes, scores = _crowd(0)
    everything = _nms(name)(boxes, scores)
    three = _nms(name, max_detections=3)(boxes, scores)
    assert _rows(three) == _rows(everything)[:3]
    sure = _nms(name, min_score=0.5)(boxes, scores)
    assert bool((scores[sure.anchor].amax(1) > 0.5).all())


def nms_keeps_nothing_below_the_threshold(slot: str, name: str) -> None:
    """An empty result has the shapes and types of any other."""
    for anchors in (0, 4):
        kept = _nms(name)(_APART[:anchors], torch.full((anchors, 3), 0.01))
        assert kept.anchor.shape == kept.label.shape == kept.score.shape == (0,)
        assert kept.anchor.dtype == kept.label.dtype == torch.int64


def nms_keeps_boxes_that_do_not_overlap(slot: str, name: str) -> None:
    """With their scores, best first."""
    kept = _nms(name)(_APART, torch.tensor([0.6, 0.9, 0.7, 0.8])[:, None])
    assert _rows(kept) == [(1, 0), (3, 0), (2, 0), (0, 0)]
    assert torch.allclose(kept.score, torch.tensor([0.9, 0.8, 0.7, 0.6]))


def nms_suppresses_the_worse_of_two_equal_boxes(slot: str, name: str) -> None:
    """It is gone, or has less than half of its score."""
    kept = _nms(name)(_APART[[0, 0]], torch.tensor([[0.7], [0.9]]))
    assert _rows(kept)[0] == (1, 0)
    assert all(score < 0.35 for score in kept.score[1:].tolist())


def nms_refers_to_its_input(slot: str, name: str) -> None:
    """Sorted, each row once, scores never raised, and the input is left as it was."""
    for seed in (0, 1):
        boxes, scores = _crowd(seed)
        before = boxes.clone(), scores.clone()
        kept = _nms(name)(boxes, scores)
        assert torch.equal(boxes, before[0])
        assert torch.equal(scores, before[1])
        assert 0 < len(kept.anchor) <= 200
        assert bool(kept.score.diff().le(0).all())
        assert len(set(_rows(kept))) == len(_rows(kept))
        assert bool((kept.score <= scores[kept.anchor, kept.label] + 1e-6).all())


def nms_does_not_depend_on_the_order(slot: str, name: str) -> None:
    """Of the input; and equal scores give the same result every time."""
    for seed in (0, 1):
        boxes, scores = _crowd(seed)
        order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(7))
        kept, shuffled = _nms(name)(boxes, scores), _nms(name)(boxes[order], scores[order])
        assert order[shuffled.anchor].tolist() == kept.anchor.tolist()
        assert shuffled.label.tolist() == kept.label.tolist()
        equal = torch.full((len(boxes), 2), 0.4)
        assert _rows(_nms(name)(boxes, equal)) == _rows(_nms(name)(boxes, equal))


def nms_has_the_rows_of_its_fixed_form(slot: str, name: str) -> None:
    """Where it has one, which `runtime: cuda_graph` needs: the same options, and rows, of a batch.

    No step of it may ask for a value, for a recorded graph has none.
    """
    nms = _nms(name)
    form = form_of(nms, "fixed")
    if form is None:
        return
    own = options_of(components(slot)[name])
    assert {o: p.default for o, p in options_of(fact(nms, "fixed")).items() if o in own} == {
        o: p.default for o, p in own.items()
    }
    images = [_crowd(seed) for seed in range(3)]
    boxes, scores = (torch.stack(parts) for parts in zip(*images, strict=True))
    together = form(boxes, scores)
    for index, image in enumerate(images):
        some = together.score[index] > 0
        wanted = nms(*image)
        if bool(together.exact[index]):
            assert together.anchor[index][some].tolist() == wanted.anchor.tolist()
            assert together.label[index][some].tolist() == wanted.label.tolist()
            assert torch.equal(together.score[index][some], wanted.score)
    assert bool(together.exact.any()), "it never says that its rows are exact"
    operator_graph(lambda b, s: form(b, s).score, (boxes, scores), tracing_mode="fake")


def _nms(name: str, **options: object) -> Nms:
    nms: Nms = pick("nms", components("nms"), {"name": name, **options})
    return nms


def _crowd(seed: int, anchors: int = 120, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Many overlapping boxes with distinct scores, partly outside the image."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(anchors, 2, generator=generator) * 0.8 - 0.1
    size = torch.rand(anchors, 2, generator=generator) * 0.4 + 0.05
    logits = torch.randn(anchors, classes + 1, generator=generator) * 2
    return torch.cat([corner, corner + size], 1), logits.softmax(1)[:, 1:]


def _rows(kept: Selection) -> list[tuple[int, int]]:
    return list(zip(kept.anchor.tolist(), kept.label.tolist(), strict=True))


CHECKS = (
    nms_has_the_common_options,
    nms_keeps_nothing_below_the_threshold,
    nms_keeps_boxes_that_do_not_overlap,
    nms_suppresses_the_worse_of_two_equal_boxes,
    nms_refers_to_its_input,
    nms_does_not_depend_on_the_order,
    nms_has_the_rows_of_its_fixed_form,
)
