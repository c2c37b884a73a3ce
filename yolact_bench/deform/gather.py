"""Deformable 3×3 convolution as a weighted gather of pixels and a dense convolution."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from yolact_bench.deform.gather_gradient import GatheredConvolution
from yolact_bench.deform.layer import autocast_precision
from yolact_bench.deform.tap_positions import add_border, find_places, sample

_ONE_SIDE = 3  # of the kernel


def gather_deform(
    x: Float[Tensor, "B I H W"],
    offset: Float[Tensor, "B 18 h w"],
    modulation: Float[Tensor, "B 9 h w"],
    weight: Float[Tensor, "O I 3 3"],
    bias: Float[Tensor, " O"],
    stride: int,
) -> Float[Tensor, "B O h w"]:
    """Return the convolution by one weighted gather and one convolution of stride 3.

    The nine samples of every output pixel are laid out as a 3h × 3w image, which a plain 3×3
    convolution of stride 3 reads without overlap. Equal to torchvision's up to rounding, in
    values and in gradients. Values keep their precision (under autocast: its precision), while
    places and bilinear fractions are never below float32: at 69 pixels bfloat16 has steps of ¼ px.

    Source: Deformable ConvNets v2 (arXiv:1811.11168).
    Differs: the formulation is ours; results are equal up to rounding.
    """
    precision = autocast_precision(x.device.type)
    if precision is not None:
        x, weight, bias = x.to(precision), weight.to(precision), bias.to(precision)
    inputs = (x, offset, modulation, weight, bias)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        trained: Tensor = GatheredConvolution.apply(*inputs, stride)
        return trained
    places = find_places(offset, modulation, x.shape, stride, as_image=True)
    side = (x.shape[0], _ONE_SIDE * offset.shape[2], _ONE_SIDE * offset.shape[3], x.shape[1])
    image = sample(add_border(x), places).view(side).permute(0, 3, 1, 2)
    return F.conv2d(image, weight, bias, stride=_ONE_SIDE)
