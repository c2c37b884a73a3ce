"""Mask assembly of a whole batch by one kernel: the launch."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from yolact_bench.triton_kernel import INTERPRETED, power_of_two

# Not measured: 1,200 programs for 100 masks of 138 × 138 cells.
_ROWS_BLOCK = 64 if INTERPRETED else 32
_CELLS_BLOCK = 1024 if INTERPRETED else 64


@runtime_checkable
class Crops(Protocol):
    """What is read of a linear combination."""

    @property
    def crop(self) -> bool:
        """Masks are zero outside their boxes."""


def assemble_by_kernel(
    assembly: Crops,
    prototypes: Float[Tensor, "B h w k"],
    coefficients: Float[Tensor, "B N k"],
    boxes: Float[Tensor, "B N 4"],
) -> Float[Tensor, "B N h w"]:
    """Return the soft masks of all images as float32, from prototypes in any precision.

    Those of `LinearCombination`, image by image, up to the rounding of sums and exponentials.
    """
    from yolact_bench.geometry.assembly_kernel import assemble

    images, height, width, k = prototypes.shape
    rows = coefficients.shape[1]
    masks = torch.empty(images, rows, height, width, device=prototypes.device)
    grid = (-(-rows // _ROWS_BLOCK), -(-height * width // _CELLS_BLOCK), images)
    assemble[grid](
        *(prototypes, coefficients.float().contiguous(), boxes.contiguous(), masks),
        *(rows, height, width, k, *prototypes.stride()),
        crops=assembly.crop,
        rows_block=_ROWS_BLOCK,
        cells_block=_CELLS_BLOCK,
        k_block=power_of_two(k),
        # Bounds of the crop are rounded product by product, as by `crop`.
        enable_fp_fusion=False,
    )
    return masks
