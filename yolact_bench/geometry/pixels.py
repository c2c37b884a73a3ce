"""From uint8 images to the network's input."""

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

Rgb = tuple[float, float, float]


def normalise(images: UInt8[Tensor, "B S S 3"], mean: Rgb, std: Rgb) -> Float32[Tensor, "B 3 S S"]:
    """Return (x − mean) / std, channels first in shape and last in memory.

    Runs on the images' device, so that a quarter of the bytes are copied there.
    """
    offset = torch.tensor(mean, device=images.device)
    scale = torch.tensor(std, device=images.device)
    return ((images.float() - offset) / scale).permute(0, 3, 1, 2)
