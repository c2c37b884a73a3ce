"""Bilinear enlargement of feature maps, in training on a GPU without scattered additions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor


def enlarge(
    maps: Float[Tensor, "B c h w"], size: Sequence[int], *, training: bool
) -> Float[Tensor, "B c H W"]:
    """Return the maps at that size: bilinear, half-pixel centres.

    The gradient of torch's kernel for CUDA adds up with atomic operations, in half precision in
    half precision too. So there training takes two products with constant matrices.

    Source: dbolya/yolact@902073d yolact.py, `FPN`, and layers/interpolate.py, `InterpolateModule`.
    """
    if training and _adds_atomically(maps):
        return enlarge_by_products(maps, size)
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def enlarge_by_products(
    maps: Float[Tensor, "B c h w"], size: Sequence[int]
) -> Float[Tensor, "B c H W"]:
    """Return the same as two products, across and then down; channels are last in its memory.

    In float32 values and gradients differ by rounding, 1e-6. Doubled, halves stay halves: the
    weights 1/4 and 3/4 have no rounding there, and what is between the products is rounded once
    more. To any other size halves go through float32, as they do inside torch's kernel.
    """
    (height, width), (images, channels, rows, columns) = size, maps.shape
    dtype = maps.dtype if (height, width) == (2 * rows, 2 * columns) else torch.float32
    with torch.autocast(maps.device.type, enabled=False):
        across = _weights(columns, width, maps.device).to(dtype).expand(images * rows, -1, -1)
        down = _weights(rows, height, maps.device).to(dtype).expand(images, -1, -1)
        x = maps.to(dtype).permute(0, 2, 3, 1).reshape(images * rows, columns, channels)
        x = torch.bmm(across, x)  # [B·h, W, c]
        x = torch.bmm(down, x.view(images, rows, width * channels))  # [B, H, W·c]
        x = x.view(images, height, width, channels).permute(0, 3, 1, 2)
        return x.to(maps.dtype)


def _weights(cells: int, size: int, device: torch.device) -> Float32[Tensor, "{size} {cells}"]:
    """Return what each enlarged cell takes of each cell."""
    each = torch.eye(cells, device=device)[None]
    return F.interpolate(each, size=size, mode="linear", align_corners=False)[0].T


def _adds_atomically(maps: Tensor) -> bool:
    return maps.is_cuda
