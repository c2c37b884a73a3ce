"""Soft masks to upsample and to encode."""

import torch
import torch.nn.functional as F
from torch import Tensor

from yolact_bench.geometry.masks import crop


def blobs(count: int, side: int = 34) -> Tensor:
    """Smooth soft masks of every size, some at the border, one empty and one full."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 1, 9, 9, generator=generator) * 3
    soft = F.interpolate(noise, (side, side), mode="bicubic")[:, 0].sigmoid()
    corner = torch.rand(count, 2, generator=generator) * 0.9 - 0.1
    size = torch.rand(count, 2, generator=generator)
    soft = crop(soft, torch.cat([corner, corner + size], 1))
    soft[0], soft[1] = 0.0, 1.0
    return soft


def blobs_of_area(count: int, part: float, side: int = 138) -> Tensor:
    """Soft masks as assembled from prototypes, in boxes of so large a part of the image."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 1, 9, 9, generator=generator) * 3
    soft = F.interpolate(noise + 2, (side, side), mode="bicubic")[:, 0].sigmoid()
    ratio = torch.rand(count, 1, generator=generator) + 0.5
    size = torch.cat([ratio, 1 / ratio], 1) * part**0.5
    corner = torch.rand(count, 2, generator=generator) * (1 - size).clamp(min=0)
    return crop(soft, torch.cat([corner, corner + size], 1))
