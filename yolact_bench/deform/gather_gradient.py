"""Gradients of the deformable 3×3 convolution that gathers."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from yolact_bench.deform.layer import KERNEL_TAPS
from yolact_bench.deform.tap_positions import (
    Places,
    add_border,
    corner_weights,
    find_places,
    sample,
)
from yolact_bench.torch_internals import dots_of_bags


class GatheredConvolution(torch.autograd.Function):
    """The convolution as gather and matrix product, with its gradients as the same two.

    Columns are gathered again on the way back rather than kept: they have nine times the size of
    the input. Bilinear sampling is piecewise linear: at a whole pixel the gradient of a place is
    that of the pixels below and to the right, as in torchvision.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        offset: Tensor,
        modulation: Tensor,
        weight: Tensor,
        bias: Tensor,
        stride: int,
    ) -> Tensor:
        """Return the convolution, [B, O, h, w] as channels-last."""
        places = find_places(offset, modulation, x.shape, stride, as_image=False)
        columns = sample(add_border(x), places).view(-1, KERNEL_TAPS * x.shape[1])
        out = torch.addmm(bias, columns, _matrix(weight).t())
        ctx.save_for_backward(x, offset, modulation, weight)
        ctx.stride = stride  # type: ignore[attr-defined]
        return out.view(x.shape[0], *offset.shape[2:], -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of every tensor that asks for one, None for the others."""
        x, offset, modulation, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        needed: tuple[bool, ...] = ctx.needs_input_grad  # type: ignore[attr-defined]
        stride: int = ctx.stride  # type: ignore[attr-defined]
        places = find_places(offset, modulation, x.shape, stride, as_image=False)
        table = add_border(x)
        out = grad.permute(0, 2, 3, 1).reshape(-1, weight.shape[0])  # [P, O]
        of_x = of_offset = of_modulation = of_weight = of_bias = None
        if any(needed[:3]):
            columns = (out @ _matrix(weight)).view(-1, x.shape[1])  # [n, I]
            if needed[0]:
                of_x = _of_pixels(columns, places, len(table), x.shape).to(x.dtype)
            if needed[1] or needed[2]:
                batch, _, h, w = offset.shape
                down, right, count = (
                    part.view(batch, h * w, KERNEL_TAPS).transpose(1, 2)
                    for part in _of_places(columns, places, table)
                )
                of_offset = torch.stack((down, right), 2).view(offset.shape).to(offset.dtype)
                of_modulation = count.reshape(modulation.shape).to(modulation.dtype)
        if needed[3]:
            gathered = sample(table, places).view(-1, KERNEL_TAPS * x.shape[1])
            of_weight = (out.t() @ gathered).view(-1, 3, 3, x.shape[1]).permute(0, 3, 1, 2)
        if needed[4]:
            of_bias = out.sum(0)
        return of_x, of_offset, of_modulation, of_weight, of_bias, None


def _matrix(weight: Tensor) -> Tensor:
    """Return the weight as [O, 9 × I], in the order of the columns."""
    return weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)


def _of_pixels(columns: Tensor, places: Places, rows: int, shape: torch.Size) -> Tensor:
    """Return the gradient of x: every pixel gathers from the samples that read it."""
    corner, order = places.corner.view(-1).sort()
    ends = torch.searchsorted(corner, torch.arange(rows, device=corner.device, dtype=corner.dtype))
    counts = corner_weights(places).view(-1)[order].to(columns.dtype)
    table = F.embedding_bag(order // 4, columns, ends, mode="sum", per_sample_weights=counts)
    batch, channels, height, width = shape
    inner = table.view(batch, height + 2, width + 2, channels)[:, 1:-1, 1:-1]
    return inner.permute(0, 3, 1, 2)


def _of_places(columns: Tensor, places: Places, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of y, x and modulation of every place, each [n]."""
    exact = places.down.dtype
    corner = places.corner.view(-1)
    dots = dots_of_bags(columns.to(exact), table.to(exact), corner, size=4)
    above_left, above_right, below_left, below_right = dots.view(-1, 4).unbind(-1)
    right, down = places.right, places.down
    above = above_left + right * (above_right - above_left)
    below = below_left + right * (below_right - below_left)
    across = (above_right - above_left) * (1 - down) + (below_right - below_left) * down
    counts = places.modulation * places.moves
    return (below - above) * counts, across * counts, above + down * (below - above)
