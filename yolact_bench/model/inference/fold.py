"""Batch norm folded into the convolutions before it, in any network."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from yolact_bench.deform.layer import DeformableConv2d, torchvision_deform
from yolact_bench.ranges import SMALLEST_IMAGE
from yolact_bench.shapes import tensors_in

log = logging.getLogger(__name__)

_CONVOLUTIONS = (nn.Conv2d, DeformableConv2d)
Convolution: TypeAlias = nn.Conv2d | DeformableConv2d


def fold_batch_norm(module: nn.Module, x: Tensor | None = None) -> int:
    """Fold each batch norm into the convolution before it, in place; return how many are left.

    The module runs once on `x`, or a small image, which shows what each batch norm takes. It is
    folded where that is always the output of one convolution, which nothing else reads; elsewhere
    it stays, and stays right. On the meta device nothing is folded, for nothing can be seen.

    Source: the algebra of inference-time batch norm, as in Jacob et al. (arXiv:1712.05877), 3.2.
    Computed in float64 and rounded once.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    like = next(module.parameters(), torch.empty(0))
    if norms and like.device.type != "meta":
        side = SMALLEST_IMAGE
        x = torch.linspace(-2, 2, 3 * side**2).view(1, 3, side, side) if x is None else x
        pairs = _pairs(module, x.to(like))
        for norm, convolution in pairs.items():
            _fold(convolution, norm)
        _remove(module, pairs)
        norms = [norm for norm in norms if norm not in pairs]
        if norms:
            log.warning(
                "%d batch norms do not directly follow a convolution and are not folded", len(norms)
            )
    return len(norms)


def _pairs(module: nn.Module, x: Tensor) -> dict[nn.BatchNorm2d, Convolution]:
    """Return the batch norms that can be folded, and the convolution of each."""
    with _without_kernels(module), torch.inference_mode(False), torch.no_grad():
        pairs, wanted = _followers(module, x)
        if _unread(module, x, pairs, wanted):
            return pairs
        return {n: c for n, c in pairs.items() if _unread(module, x, {n: c}, wanted)}


def _followers(
    module: nn.Module, x: Tensor
) -> tuple[dict[nn.BatchNorm2d, Convolution], list[Tensor]]:
    """Return each batch norm that only ever takes the output of one convolution, and the result.

    That convolution may have no other batch norm behind it, as one that levels share has.
    """
    made: dict[int, tuple[Convolution, Tensor, Tensor]] = {}
    calls: dict[nn.Module, int] = {}
    inputs: dict[nn.BatchNorm2d, list[Convolution | None]] = {}

    def remember(convolution: Convolution, _: object, out: Tensor) -> None:
        calls[convolution] = calls.get(convolution, 0) + 1
        made[id(out)] = convolution, out, out.clone()

    def look(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
        convolution, out, copied = made.get(id(given[0]), (None, given[0], given[0]))
        unchanged = torch.equal(out, copied)  # in place, too
        inputs.setdefault(norm, []).append(convolution if unchanged else None)

    with _hooks(module, remember, look):
        result = list(tensors_in(module(x)))
    pairs: dict[nn.BatchNorm2d, Convolution] = {}
    for norm, before in inputs.items():
        convolution = before[0]
        if convolution is None or not (norm.affine and norm.track_running_stats):
            continue
        if set(before) == {convolution} and calls[convolution] == len(before):
            pairs[norm] = convolution
    return pairs, result


def _unread(
    module: nn.Module,
    x: Tensor,
    pairs: Mapping[nn.BatchNorm2d, Convolution],
    wanted: list[Tensor],
) -> bool:
    """Return whether nothing but the batch norms reads what these convolutions return.

    All others are given NaN in its place, which would show in the result.
    """
    true: dict[int, tuple[Tensor, Tensor]] = {}
    convolutions = set(pairs.values())

    def spoil(convolution: Convolution, _: object, out: Tensor) -> Tensor | None:
        if convolution not in convolutions:
            return None
        spoilt = torch.full_like(out, torch.nan)
        true[id(spoilt)] = spoilt, out
        return spoilt

    def mend(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> tuple[Tensor] | None:
        return (true[id(given[0])][1],) if id(given[0]) in true else None

    with _hooks(module, spoil, mend):
        result = list(tensors_in(module(x)))
    return all(torch.allclose(a, b, equal_nan=True) for a, b in zip(result, wanted, strict=True))


@contextmanager
def _hooks(
    module: nn.Module, behind: Callable[..., Any], before: Callable[..., Any]
) -> Iterator[None]:
    """Call `behind` every convolution and `before` every batch norm."""
    handles: list[RemovableHandle] = []
    for part in module.modules():
        if isinstance(part, _CONVOLUTIONS):
            handles.append(part.register_forward_hook(behind))
        elif isinstance(part, nn.BatchNorm2d):
            handles.append(part.register_forward_pre_hook(before))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _without_kernels(module: nn.Module) -> Iterator[None]:
    """Compute deformable layers as torchvision does, on any device."""
    layers = [part for part in module.modules() if isinstance(part, DeformableConv2d)]
    own = [layer.implementation for layer in layers]
    for layer in layers:
        layer.implementation = torchvision_deform
    try:
        yield
    finally:
        for layer, implementation in zip(layers, own, strict=True):
            layer.implementation = implementation


def _fold(convolution: Convolution, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    shift = norm.bias.double() - norm.running_mean.double() * scale
    bias = shift if convolution.bias is None else shift + convolution.bias.double() * scale
    weight = convolution.weight.double() * scale[:, None, None, None]
    dtype = convolution.weight.dtype
    convolution.weight = nn.Parameter(weight.to(dtype).detach())
    convolution.bias = nn.Parameter(bias.to(dtype).detach())


def _remove(module: nn.Module, norms: Mapping[nn.BatchNorm2d, Convolution]) -> None:
    for owner in list(module.modules()):
        for name, part in list(owner.named_children()):
            if part in norms:
                setattr(owner, name, nn.Identity())
