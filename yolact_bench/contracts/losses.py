"""What the terms of the loss must do: finite values, gradients, and the same for whole batches."""

import torch
from torch import Tensor, nn

from yolact_bench.catalog import components
from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.loss.padded import pad_objects
from yolact_bench.loss.protocols import BatchPositives, Positives, SoftMasks
from yolact_bench.shapes import Target, Targets
from yolact_bench.slots import form_of

_SIZE, _CELLS, _CLASSES, _K = 48, 12, 3, 4  # sides of input and prototypes, px
_TWO = torch.tensor(2.0)
_COUNTS = (0, 1, 4)  # of positives
_BOX = torch.tensor([[0.1, 0.2, 0.5, 0.9]])


def class_loss_is_finite_and_differentiable(slot: str, name: str) -> None:
    """Of extreme logits too; ignored anchors have no part in it."""
    for count in _COUNTS:
        for scale in (1.0, 1e4):
            scores = _normal(2, 30, _CLASSES + 1, scale=scale)
            labels = torch.zeros(2, 30, dtype=torch.int64)
            labels[0, :count], labels[1, :5] = 2, -1
            loss = components(slot)[name](scores, labels, _TWO)
            (gradient,) = _gradients(loss, scores)
            assert bool((gradient[1, :5] == 0).all())


def box_loss_is_finite_and_differentiable(slot: str, name: str) -> None:
    """Whatever the number of positives; a form for whole batches, where there is one, agrees."""
    form = form_of(components(slot)[name], "of_batch")
    for count in _COUNTS:
        regressions = _normal(count, 4)
        anchors, boxes = anchor_grid(one_scale(), 64)[:count], _BOX.expand(count, 4)
        loss = components(slot)[name](regressions, anchors, boxes, _TWO)
        _gradients(loss, regressions)
        if form is not None:
            both = regressions.expand(2, count, 4), anchors, boxes.expand(2, count, 4)
            positive = torch.tensor([[True], [False]]).expand(2, count)
            assert torch.allclose(form(*both, positive, _TWO), loss)


def mask_loss_is_finite_and_differentiable(slot: str, name: str) -> None:
    """Of saturated masks too; it hands on the masks that it looked at.

    A form for whole batches, where there is one, agrees.
    """
    form = form_of(components(slot)[name], "of_batch")
    for count in _COUNTS:
        for scale in (1.0, 1e3):
            coefficients = _normal(count, _K, scale=scale)
            prototypes, objects = _normal(_CELLS, _CELLS, _K), min(count, 1)
            image = Positives(
                coefficients=coefficients,
                truth=torch.zeros(count, dtype=torch.int64),
                prototypes=prototypes,
                boxes=_BOX[:objects],
                labels=torch.ones(objects, dtype=torch.int64),
                masks=torch.ones(objects, _SIZE, _SIZE, dtype=torch.uint8),
            )
            loss, (masks,) = components(slot)[name]([image], _TWO, None)
            _gradients(loss, coefficients, prototypes)
            assert masks.predicted.shape == masks.wanted.shape == (count, _CELLS, _CELLS)
            if form is not None and count > 0:
                together, rows = form(_as_batch(image), _TWO, None)
                _gradients(together, coefficients, prototypes)
                assert torch.allclose(together, loss)
                assert int(rows.used.sum()) == count


def semantic_loss_is_finite_and_differentiable(slot: str, name: str) -> None:
    """Or there is none."""
    for count in _COUNTS:
        logits = _normal(1, _CLASSES, _CELLS, _CELLS)
        target = Target(
            boxes=torch.zeros(count, 4),
            labels=torch.arange(count) % _CLASSES,
            masks=torch.ones(count, _SIZE, _SIZE, dtype=torch.uint8),
            is_crowd=torch.zeros(count, dtype=torch.bool),
        )
        loss = components(slot)[name](logits, [target])
        _gradients(loss, logits)
        form = form_of(components(slot)[name], "of_batch")
        if form is not None:
            assert torch.allclose(form(logits, Targets.of([target])), loss)


def mask_iou_loss_is_finite_and_differentiable(slot: str, name: str) -> None:
    """Or there is none."""
    net = nn.Sequential(nn.Conv2d(1, _CLASSES, _CELLS), nn.Flatten())
    for count in _COUNTS:
        predicted = _normal(count, _CELLS, _CELLS).sigmoid().detach().requires_grad_()
        masks = SoftMasks(
            predicted=predicted,
            wanted=torch.ones(count, _CELLS, _CELLS),
            labels=torch.arange(count) % _CLASSES,
        )
        _gradients(components(slot)[name]([masks], net, _TWO), predicted, *net.parameters())


def _as_batch(image: Positives) -> BatchPositives:
    """A batch of that image alone, all of whose anchors are positive."""
    target = Target(
        boxes=image.boxes,
        labels=image.labels,
        masks=image.masks,
        is_crowd=torch.zeros_like(image.labels, dtype=torch.bool),
    )
    return BatchPositives(
        coefficients=image.coefficients[None],
        prototypes=image.prototypes[None],
        positive=torch.ones_like(image.truth, dtype=torch.bool)[None],
        truth=image.truth[None],
        objects=pad_objects(Targets.of([target])),
    )


def _normal(*shape: int, scale: float = 1.0) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(1)) * scale
    return values.requires_grad_()


def _gradients(term: Tensor | None, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of a finite float32 scalar, which reach every input and are finite."""
    if term is None:
        return ()
    assert term.shape == () and term.dtype == torch.float32 and bool(term.isfinite())
    gradients = torch.autograd.grad(term, inputs)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    return gradients
