"""A staged batch of photos as the network's input, by one kernel: the launch."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from yolact_bench.detect.graph.staging import header_of
from yolact_bench.triton_kernel import INTERPRETED

_PIXELS_BLOCK = 1024 if INTERPRETED else 128


def resize_by_kernel(
    block: UInt8[Tensor, " bytes"],
    images: int,
    side: int,
    mean: Float[Tensor, "3 1 1"],
    std: Float[Tensor, "3 1 1"],
    dtype: torch.dtype,
) -> Float[Tensor, "B 3 S S"]:
    """Return the photos of a block, resized and normalised, channels last and in a precision.

    What `Detector.preprocess` makes of them, up to rounding; no size is read by the host, so one
    recording serves photos of all sizes.
    """
    from yolact_bench.detect.kernels.resize_kernel import resize_normalise

    out = torch.empty(images, side, side, 3, dtype=dtype, device=block.device)
    grid = (side, -(-side // _PIXELS_BLOCK), images)
    resize_normalise[grid](
        *(block, header_of(block, images), mean, std, out),
        side=side,
        pixels_block=_PIXELS_BLOCK,
    )
    return out.permute(0, 3, 1, 2)
