"""Deformable layers whose offsets and modulations are one map, as a convolution makes it."""

import torch
from torch import Tensor

from tests.support.deform_cases import Case, device_for
from yolact_bench.deform.layer import MAP_CHANNELS, torchvision_deform

LAYERS = {
    f"batch {batch}, {height}×{width}, stride {stride}": Case(
        batch=batch, channels=channels, out_channels=out, height=height, width=width, stride=stride
    )
    for batch, channels, out, height, width, stride in (
        (1, 8, 8, 9, 7, 1),
        (1, 33, 5, 7, 9, 2),
        (2, 16, 20, 5, 5, 1),
        (9, 3, 4, 3, 5, 2),
    )
}


def layer(
    case: Case, values: torch.dtype = torch.float32, device: str | None = None
) -> list[Tensor]:
    """x, a padded map, weight and bias: what `convolve_map` takes, channels-last."""
    x, offset, modulation, weight, bias = case.tensors(device=device or device_for("triton"))
    zeros = x.new_zeros(case.batch, MAP_CHANNELS - 27, *offset.shape[2:])
    places = torch.cat([offset, modulation * 4 - 2, zeros], 1)
    made = [x.to(values), places, weight.to(values), bias.to(values)]
    return [t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in made]


def wanted_of(tensors: list[Tensor], stride: int) -> Tensor:
    x, places, weight, bias = (tensor.float() for tensor in tensors)
    counts = places[:, 18:27].sigmoid()
    return torchvision_deform(x, places[:, :18], counts, weight, bias, stride)
