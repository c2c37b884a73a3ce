"""Masks at prototype size: prototypes and coefficients → soft masks, and the crop."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from yolact_bench.geometry.device_assembly import assemble_by_kernel
from yolact_bench.geometry.protocols import MakeAssembly
from yolact_bench.ranges import Fraction
from yolact_bench.slots import with_facts

# Detections that one matrix product serves on a CPU.
BLOCK_ROWS = 16


@with_facts(row_by_row=True, kernels=assemble_by_kernel)
@dataclass(frozen=True, slots=True, kw_only=True)
class LinearCombination:
    """σ(P·Cᵀ), cropped with the predicted box at prototype size, before any upsampling.

    Source: YOLACT (arXiv:1904.02689), section 3.2 "Mask Assembly" and "Cropping Masks".
    Differs: the crop is a cell wider, as that of the reference.
    """

    crop: bool = True
    mask_threshold: Fraction = 0.5

    def __call__(
        self,
        prototypes: Float[Tensor, "h w k"],
        coefficients: Float[Tensor, "N k"],
        boxes: Float[Tensor, "N 4"],
    ) -> Float[Tensor, "N h w"]:
        """Return the soft mask of each detection."""
        h, w, k = prototypes.shape
        logits = _combine(coefficients, prototypes.reshape(h * w, k).T)  # [N, h·w]
        masks = logits.sigmoid().reshape(-1, h, w)
        return crop(masks, boxes) if self.crop else masks


def _combine(
    coefficients: Float[Tensor, "N k"], prototypes: Float[Tensor, "k cells"]
) -> Float[Tensor, "N cells"]:
    """Return the product. On a CPU and without gradients, no row's bits depend on the others.

    Matrix products choose their order of summing by shape: one to seven rows can differ in the
    last bit from the same rows among more. In blocks of one shape, a detection has the same
    mask whatever else an NMS kept.
    """
    needs_grad = coefficients.requires_grad or prototypes.requires_grad
    if coefficients.device.type != "cpu" or (needs_grad and torch.is_grad_enabled()):
        return coefficients @ prototypes
    rows, k = coefficients.shape
    blocks = coefficients.new_zeros(-(-rows // BLOCK_ROWS), BLOCK_ROWS, k)
    blocks.view(-1, k)[:rows] = coefficients
    combined = coefficients.new_empty(len(blocks), BLOCK_ROWS, prototypes.shape[1])
    for block, out in zip(blocks, combined, strict=True):
        torch.mm(block, prototypes, out=out)
    return combined.flatten(0, 1)[:rows]


ASSEMBLIES: Mapping[str, MakeAssembly] = {
    "linear_combination": LinearCombination,
}


def masks_at(
    masks: UInt8[Tensor, "N H W"], height: int, width: int
) -> Float32[Tensor, "N {height} {width}"]:
    """The masks at that size as 0.0 and 1.0; those that have it already are not resized.

    Source: dbolya/yolact@902073d layers/modules/multibox_loss.py, `lincomb_mask_loss`:
    bilinear without antialiasing, then above 0.5.
    """
    if len(masks) == 0:
        return masks.new_zeros((0, height, width)).float()
    if masks.shape[1:] == (height, width):
        return masks.float()
    resized = F.interpolate(masks.float()[:, None], (height, width), mode="bilinear")[:, 0]
    return (resized > 0.5).float()


def crop(
    masks: Float[Tensor, "N h w"], boxes: Float[Tensor, "N 4"], *, padding: int = 1
) -> Float[Tensor, "N h w"]:
    """Return the masks with zeros outside their boxes, each box `padding` cells wider.

    Bounds are not rounded: a cell is inside if its index is at or above the near bound and
    below the far one. A bound of 2.3 thus drops cell 2 on the near side and keeps it on the far.

    Source: YOLACT (arXiv:1904.02689), section 3.2 "Cropping Masks"; padding and bounds from
    dbolya/yolact@902073d layers/box_utils.py, `crop`.
    """
    _, h, w = masks.shape
    across = _within(boxes[:, 0::2] * w, w, padding)
    down = _within(boxes[:, 1::2] * h, h, padding)
    return torch.where(down[:, :, None] & across[:, None, :], masks, masks.new_zeros(()))


def _within(bounds: Float[Tensor, "N 2"], cells: int, padding: int) -> Bool[Tensor, "N cells"]:
    low = (bounds.amin(1, keepdim=True) - padding).clamp(min=0)
    high = (bounds.amax(1, keepdim=True) + padding).clamp(max=cells)
    cell = torch.arange(cells, device=bounds.device, dtype=bounds.dtype)
    return (cell >= low) & (cell < high)
