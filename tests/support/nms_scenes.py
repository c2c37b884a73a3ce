"""Boxes and scores for NMS: crowded, tied, saturated, or as a trained detector has them."""

import torch
from hypothesis import strategies as st
from torch import Tensor

Scene = tuple[Tensor, Tensor]


def random_scene(
    seed: int, anchors: int, classes: int, *, levels: int = 0, sure: float = 0.3
) -> Scene:
    """Boxes on a coarse grid, so that some are equal; scores of which `sure` are high.

    With `levels` scores take so many values only, among them 0 and 1.
    """
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 8, (anchors, 2), generator=generator) / 10 - 0.1
    size = torch.randint(0, 5, (anchors, 2), generator=generator) / 10
    scores = torch.rand(anchors, classes, generator=generator)
    scores *= torch.where(torch.rand(anchors, 1, generator=generator) < sure, 1.0, 0.02)
    if levels:
        scores = (scores * (levels - 1)).round() / (levels - 1)
    return torch.cat([corner, corner + size], 1), scores


@st.composite
def scenes(draw: st.DrawFn, most: int = 60) -> Scene:
    """Any scene: none, one or many anchors and classes, with ties or without."""
    return random_scene(
        draw(st.integers(0, 2**31)),
        draw(st.integers(0, most)),
        draw(st.integers(1, 5)),
        levels=draw(st.sampled_from([0, 2, 3, 20])),
        sure=draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
    )


def scattered_scene(anchors: int, *, classes: int = 80, candidates: int = 1000) -> Scene:
    """Candidates anywhere, each sure of one class: hardly any overlap within a class."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(anchors, 2, generator=generator) * 0.8
    size = torch.rand(anchors, 2, generator=generator) * 0.2 + 0.02
    scores = torch.rand(anchors, classes, generator=generator) * 1e-3
    rows = torch.randperm(anchors, generator=generator)[:candidates]
    labels = torch.randint(classes, (candidates,), generator=generator)
    scores[rows, labels] = torch.rand(candidates, generator=generator) * 0.9 + 0.06
    return torch.cat([corner, corner + size], 1), scores


def clustered_logits(
    anchors: int, objects: int, per_object: int, *, classes: int = 80, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Boxes, and logits with the background first, as a trained detector has them.

    Some anchors lie around each object and agree roughly on its classes; all others are sure to
    be background.
    """
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(anchors, 4, generator=generator) * torch.tensor([0.8, 0.8, 0.2, 0.2])
    boxes[:, 2:] += boxes[:, :2] + 0.02
    logits = torch.randn(anchors, classes + 1, generator=generator)
    logits[:, 0] += 9
    rows = torch.randperm(anchors, generator=generator)[: objects * per_object]
    corner = torch.rand(objects, 2, generator=generator) * 0.7
    size = torch.rand(objects, 2, generator=generator) * 0.25 + 0.05
    classes_of = torch.randn(objects, classes + 1, generator=generator) * 2.5
    labels = torch.randint(1, classes + 1, (objects,), generator=generator)
    classes_of[torch.arange(objects), labels] += 6
    classes_of[:, 0] = 4
    which = torch.arange(objects).repeat_interleave(per_object)
    moved = torch.randn(len(which), 4, generator=generator) * torch.cat([size, size], 1)[which]
    boxes[rows] = torch.cat([corner, corner + size], 1)[which] + 0.12 * moved
    noise = torch.randn(len(which), classes + 1, generator=generator)
    logits[rows] = classes_of[which] + noise
    return boxes, logits
